tool
extends HBoxContainer
# One job in the dock: its picture so far, its name and state, how far it is, and a button that cancels it.

signal cancelled(job_id)

const WIDTH = 48

var job_id := ""

var _picture := TextureRect.new()
var _name := Label.new()
var _state := Label.new()
var _bar := ProgressBar.new()
var _cancel := Button.new()
var _shown_preview: Image = null


func _init() -> void:
	_picture.rect_min_size = Vector2(WIDTH, WIDTH)
	_picture.expand = true
	_picture.stretch_mode = TextureRect.STRETCH_KEEP_ASPECT_CENTERED
	add_child(_picture)
	var column := VBoxContainer.new()
	column.size_flags_horizontal = SIZE_EXPAND_FILL
	add_child(column)
	_name.name = "Name"
	_name.clip_text = true
	column.add_child(_name)
	_bar.rect_min_size = Vector2(0, 8)
	column.add_child(_bar)
	_state.name = "State"
	_state.clip_text = true
	column.add_child(_state)
	_cancel.text = "x"
	_cancel.hint_tooltip = "Cancel this job"
	_cancel.connect("pressed", self, "_on_cancel_pressed")
	add_child(_cancel)


func show_job(job: Dictionary, percent: float, phase: String, preview: Image) -> void:
	job_id = job.job_id
	_name.text = job.name if job.name != "" else job.job_id
	_state.text = state_text(job, phase)
	_bar.value = percent
	_cancel.disabled = job.state in ["succeeded", "failed", "cancelled", "cancelling"]
	if preview != _shown_preview:
		_shown_preview = preview
		_picture.texture = _texture_of(preview)


static func state_text(job: Dictionary, phase: String) -> String:
	# "running, 2 of 4, sampling".
	var items: Dictionary = job.items
	var text: String = "paused" if job.paused != null else job.state
	if items.total > 1:
		text += ", %d of %d" % [items.succeeded, items.total]
	if phase != "" and job.state == "running":
		text += ", " + phase
	if items.failed > 0:
		text += ", %d failed" % items.failed
	return text


static func _texture_of(image: Image) -> Texture:
	if image == null:
		return null
	var texture := ImageTexture.new()
	texture.create_from_image(image, 0)
	return texture


func _on_cancel_pressed() -> void:
	emit_signal("cancelled", job_id)
