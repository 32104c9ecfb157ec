tool
extends EditorPlugin
# Does in the editor what a person would do in the dock, and prints what the dock shows, one line of JSON a change.
#
# PROBE in the environment is JSON: what to enter into the form, and the text in the dock at which all is over; or with
# `frames_until` that it counts how long the plugin's part of each frame takes until it knows all events up to that seq,
# and beside it how long it takes to spin for as long as the plugin may: what the machine adds by itself.
#
# A person's later deeds are lines of JSON in the file DEEDS, which the test writes: `order` with what to enter, `cancel`
# with the name of a job, `dial` with an endpoint, `leave`.

const PATIENCE_MS = 110000
const DEEDS = "res://deeds"

var _wanted := {}
var _dock: Control
var _plugin: EditorPlugin
var _has_ordered := false
var _last := ""
var _deeds_done := 0
var _frames := []
var _spins := []


func _ready() -> void:
	_wanted = parse_json(OS.get_environment("PROBE"))


func _process(_delta: float) -> void:
	if _dock == null:
		_dock = _find("addons/stoker/dock.gd", get_tree().root)
		_plugin = _find("addons/stoker/plugin.gd", get_tree().root)
		return
	if _wanted.has("frames_until"):
		_count_frame()
		return
	_show()
	if not _has_ordered and not _dock.form.generate.disabled and _wanted.has("prompt"):
		_has_ordered = true
		_order(_wanted)
	_do_deeds()
	if _wanted.get("until", "-") in _dock.said.text:
		get_tree().quit()
	elif OS.get_ticks_msec() > PATIENCE_MS:
		get_tree().quit(1)


func _do_deeds() -> void:
	var file := File.new()
	if file.open(DEEDS, File.READ) != OK:
		return
	file.seek(_deeds_done)
	while file.get_position() < file.get_len():
		var deed = parse_json(file.get_line())
		_deeds_done = file.get_position()
		_do(deed[0], deed[1])


func _do(what: String, with) -> void:
	match what:
		"order":
			_order(with)
		"cancel":
			for row in _dock.rows():
				if row.visible and row._name.text == with and not row._cancel.disabled:
					row._cancel.emit_signal("pressed")
		"dial":
			_dock.endpoint.text = with
			_dock.endpoint.emit_signal("text_entered", with)
		"leave":
			get_tree().quit()


func _order(wanted: Dictionary) -> void:
	# Each field as a person enters it; what is not there stays as it was.
	var form: Control = _dock.form
	form.prompt.text = wanted.prompt
	for name in ["maker", "profile", "priority"]:
		if wanted.has(name):
			_choose(form.get(name), wanted[name])
	form.frames.value = wanted.get("frames", 1)
	form.count.value = wanted.get("count", 1)
	for name in wanted.get("params", {}):
		form.field(name).set_value(wanted.params[name])
	form.generate.emit_signal("pressed")


func _choose(options: OptionButton, text: String) -> void:
	for index in options.get_item_count():
		if options.get_item_text(index) == text:
			options.select(index)
			options.emit_signal("item_selected", index)


func _count_frame() -> void:
	var through: int = _plugin.board.counts.get("through", 0)
	if through == 0:
		_show()
		return
	_frames.append(_plugin.frame_usec)
	var began_usec := OS.get_ticks_usec()
	while OS.get_ticks_usec() < began_usec + _plugin.BUDGET_USEC:
		pass
	_spins.append(OS.get_ticks_usec() - began_usec)
	if through >= _wanted.frames_until:
		print("SAYS ", to_json({"frames": _frames, "spins": _spins, "counts": _plugin.board.counts}))
		get_tree().quit()


func _show() -> void:
	var rows := []
	for row in _dock.rows():
		if row.visible:
			var picture: Texture = row._picture.texture
			var seen: String = "" if picture == null else Marshalls.raw_to_base64(picture.get_data().get_data()).md5_text()
			rows.append([row._name.text, row._state.text, row._bar.value, seen])
	var shown := {"summary": _dock.summary.text, "said": _dock.said.text, "rows": rows}
	if to_json(shown) != _last:
		_last = to_json(shown)
		shown.priorities = _texts(_dock.form.priority)
		shown.makers = _texts(_dock.form.maker)
		shown.profiles = _texts(_dock.form.profile)
		print("SAYS ", to_json(shown))


static func _texts(options: OptionButton) -> Array:
	var texts := []
	for index in options.get_item_count():
		texts.append(options.get_item_text(index))
	return texts


static func _find(script: String, node: Node) -> Node:
	if node.get_script() != null and node.get_script().resource_path.ends_with(script):
		return node
	for child in node.get_children():
		var found := _find(script, child)
		if found != null:
			return found
	return null
