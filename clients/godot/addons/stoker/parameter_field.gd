tool
extends HBoxContainer
# One parameter of an engine or a recipe as a control, made from what the daemon says of it.

var parameter := {}

var _control: Control


func setup(described: Dictionary) -> void:
	parameter = described
	name = described.name
	var label := Label.new()
	label.text = described.name
	label.hint_tooltip = described.get("help", "")
	label.size_flags_horizontal = SIZE_EXPAND_FILL
	add_child(label)
	_control = _control_for(described)
	_control.hint_tooltip = described.get("help", "")
	_control.size_flags_horizontal = SIZE_EXPAND_FILL
	add_child(_control)


func value():
	# What was chosen, or null where the daemon's default shall hold.
	if _control is OptionButton:
		return null if _control.selected == 0 else parameter.choices[_control.selected - 1]
	if _control is CheckBox:
		return null if _control.pressed == bool(parameter.get("default")) else _control.pressed
	if _control.text.strip_edges() == "":
		return null
	var text: String = _control.text.strip_edges()
	match parameter.type:
		"integer":
			return int(text)
		"number":
			return float(text)
	return text


func set_value(value) -> void:
	# Choose a value as a person would.
	if _control is OptionButton:
		_control.select(parameter.choices.find(value) + 1)
	elif _control is CheckBox:
		_control.pressed = value
	else:
		_control.text = str(value)


static func _control_for(described: Dictionary) -> Control:
	# Empty means the default, which stands there in grey.
	var usual = described.get("default")
	if described.get("choices") != null:
		var options := OptionButton.new()
		options.add_item("(%s)" % usual if usual != null else "")
		for choice in described.choices:
			options.add_item(str(choice))
		return options
	if described.type == "boolean":
		var box := CheckBox.new()
		box.pressed = bool(usual)
		return box
	var line := LineEdit.new()
	line.placeholder_text = str(usual) if usual != null else ""
	return line
