"""The widgets of the screen: log, bars, prompt, panes, dialogs, picker.

Faces: bars, faults, log_view, modals, panes, picker, prompt.
May import: tui.screen.ports, render, client, lines, common.
"""
