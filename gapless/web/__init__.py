"""The viewer in a browser: a page of our own, and a viewer process for each tab that shows it.

Textual's web driver draws, and the terminal in the page is textual-serve's. This package decides
who may open the page and what the page may load, and ends every viewer process.

Faces: server.
May import: common; gapless.terminal.
"""
