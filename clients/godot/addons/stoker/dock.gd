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
const ROWS_A_REFRESH = 4
# New rows cost most; a queue that comes all at once grows over some frames.
const LINES = 4

var endpoint := LineEdit.new()
var previews := CheckBox.new()
var summary := Label.new()
var said := Label.new()
var form := GenerateBox.new()

var _rows := VBoxContainer.new()
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


func refresh(board: Board) -> void:
	# Bring the rows up to date, some times a second and only if something changed.
	if not board.is_dirty or OS.get_ticks_msec() < _refresh_at_ms:
		return
	_refresh_at_ms = OS.get_ticks_msec() + REFRESH_MS
	board.is_dirty = false
	summary.text = board.summary()
	var ids := board.shown()
	for _missing in min(ROWS_A_REFRESH, max(0, ids.size() - _rows.get_child_count())):
		_add_row()
	for index in _rows.get_child_count():
		var row: JobRow = _rows.get_child(index)
		row.visible = index < ids.size()
		if row.visible:
			var id: String = ids[index]
			row.show_job(board.job(id), board.percent(id), board.phase(id), board.preview(id))
	if ids.size() > _rows.get_child_count():
		board.is_dirty = true


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
