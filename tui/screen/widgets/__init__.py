"""The widgets of the screen: log, bars, prompt, panes, dialogs, picker and column chooser.

Faces: bars, column_chooser, faults, log_view, modals, panes, picker, prompt.
May import: tui.screen.ports, render, client, lines, common.
"""
