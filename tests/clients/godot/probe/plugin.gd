tool
extends EditorPlugin
# Does in the editor what a person would do in the dock, and prints what the dock shows, one line of JSON a change.
#
# PROBE in the environment is JSON: what to enter into the form, and the text in the dock at which all is over; or with
# `frames_until` that it counts how long the plugin's part of each frame takes until it knows all events up to that seq,
# and beside it how long it takes to spin for as long as the plugin may: what the machine adds by itself.

const PATIENCE_MS = 110000

var _wanted := {}
var _dock: Control
var _plugin: EditorPlugin
var _has_ordered := false
var _last := ""
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
		_order()
	if _wanted.get("until", "-") in _dock.said.text:
		get_tree().quit()
	elif OS.get_ticks_msec() > PATIENCE_MS:
		get_tree().quit(1)


func _order() -> void:
	var form: Control = _dock.form
	form.prompt.text = _wanted.prompt
	for index in form.maker.get_item_count():
		if form.maker.get_item_text(index) == _wanted.get("maker", ""):
			form.maker.select(index)
			form.maker.emit_signal("item_selected", index)
	form.frames.value = _wanted.get("frames", 1)
	form.count.value = _wanted.get("count", 1)
	for name in _wanted.get("params", {}):
		form.field(name).set_value(_wanted.params[name])
	form.generate.emit_signal("pressed")


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
			var has_picture: bool = row._picture.texture != null
			rows.append([row._name.text, row._state.text, row._bar.value, has_picture])
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
