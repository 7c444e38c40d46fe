"""The widgets of the screen: log, bars, prompt, panes, histogram, dialogs, picker.

Faces: bars, faults, histogram, log_view, modals, panes, picker, prompt.
May import: tui.screen.ports, render, client, lines, common.
"""
