"""What was discovered, in the order of discovery: one protocol, interchangeable stores."""
