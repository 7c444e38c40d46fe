"""Turns values into styled text: rows, status line, panels, help, histogram and notifications.

Only strips, palette and key_bindings know Textual; all else is pure.

Faces: safe_text, line_format, units, palette, strips, status_text, panel_text, detail_text,
histogram,
key_bindings, notifications, group_names, fields, pattern_list, replay_text.
May import: tui.client.status, tui.lines, common.
"""
