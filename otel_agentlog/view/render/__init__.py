"""What people read: terminal lines and tables, one task, one line, Prometheus text, a task as an HTML file.

screen.py       a terminal or a pipe: coloured lines, tables, progress
formats.py      numbers and times for people; moments such as ``2h`` or ``yesterday`` read
labels.py       signs, styles and names of states and kinds
values.py       arguments, results and messages as text
line_text.py    one line of a task folder
group_table.py  a table of groups of tasks with their figures
comparison.py   two groups of tasks: texts of their figures, Markdown, CSV
csv_cell.py     a value that no spreadsheet runs
show/           one task as a whole
json_line.py    JSON that is safe on a terminal
prometheus.py   figures of all tasks as Prometheus text
html_page.py    one task as a page in one file
"""
