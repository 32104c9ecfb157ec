tool
extends VBoxContainer
# What the person at the editor sees: the daemon, its queue with live progress, the form, and what was said last.

signal dialled(endpoint)
signal cancelled(job_id)
signal previews_wanted(wanted)

const Board = preload("board.gd")
const GenerateBox = preload("generate_box.gd")
const JobRow = preload("job_row.gd")

const REFRESH_MS = 100
const LINES = 4

var endpoint := LineEdit.new()
var previews := CheckBox.new()
var summary := Label.new()
var said := Label.new()
var form := GenerateBox.new()

var _rows := VBoxContainer.new()
var _ids := []
# The jobs that the rows show, or will when the refresh is through.
var _next_row := 0
var _lines := []
var _refresh_at_ms := 0


func _init() -> void:
	name = "Stoker"
	var top := HBoxContainer.new()
	endpoint.size_flags_horizontal = SIZE_EXPAND_FILL
	endpoint.hint_tooltip = "The daemon's control socket; Enter connects"
	previews.text = "Previews"
	previews.pressed = true
	top.add_child(endpoint)
	top.add_child(previews)
	var scroll := ScrollContainer.new()
	scroll.size_flags_vertical = SIZE_EXPAND_FILL
	scroll.rect_min_size = Vector2(0, 160)
	_rows.size_flags_horizontal = SIZE_EXPAND_FILL
	scroll.add_child(_rows)
	summary.clip_text = true
	said.autowrap = true
	for control in [top, summary, form, scroll, said]:
		add_child(control)
	endpoint.connect("text_entered", self, "_on_endpoint_entered")
	previews.connect("toggled", self, "_on_previews_toggled")


func say(text: String) -> void:
	_lines.append(text)
	if _lines.size() > LINES:
		_lines.pop_front()
	said.text = PoolStringArray(_lines).join("\n")


func rows() -> Array:
	return _rows.get_children()


func refresh(board: Board, until_usec: int) -> void:
	# Bring the rows up to date, some times a second and only if something changed; what is left at that time comes next.
	if _next_row >= _ids.size():
		if not board.is_dirty or OS.get_ticks_msec() < _refresh_at_ms:
			return
		_refresh_at_ms = OS.get_ticks_msec() + REFRESH_MS
		board.is_dirty = false
		_begin_refresh(board)
	while _next_row < _ids.size():
		_show_row(_next_row, board)
		_next_row += 1
		if OS.get_ticks_usec() >= until_usec:
			return


func _begin_refresh(board: Board) -> void:
	summary.text = board.summary()
	_ids = board.shown()
	_next_row = 0
	for index in range(_ids.size(), _rows.get_child_count()):
		_rows.get_child(index).visible = false


func _show_row(index: int, board: Board) -> void:
	var id: String = _ids[index]
	var job := board.job(id)
	if job.empty():
		return  # it went since the refresh began
	if index >= _rows.get_child_count():
		_add_row()
	var row: JobRow = _rows.get_child(index)
	row.visible = true
	row.show_job(job, board.percent(id), board.phase(id), board.preview(id))


func _add_row() -> void:
	var row := JobRow.new()
	row.connect("cancelled", self, "_on_row_cancelled")
	_rows.add_child(row)


func _on_row_cancelled(job_id: String) -> void:
	emit_signal("cancelled", job_id)


func _on_endpoint_entered(text: String) -> void:
	emit_signal("dialled", text.strip_edges())


func _on_previews_toggled(wanted: bool) -> void:
	emit_signal("previews_wanted", wanted)
