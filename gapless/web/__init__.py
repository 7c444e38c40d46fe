"""The viewer in a browser: a page of our own, and a viewer process for each tab that shows it.

Textual's own web driver draws, and the terminal in the page is textual-serve's; what is ours is
who may look (``asking``), what the page may load (``page``), and that no process is left over
(``tab``, ``server``).
"""
