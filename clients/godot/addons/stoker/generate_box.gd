tool
extends VBoxContainer
# The form that orders pictures, made from what the daemon says it can: engines, models, recipes, profiles, parameters.

signal ordered(order)

const OrderForm = preload("order_form.gd")
const ParameterField = preload("parameter_field.gd")

const OWN_FIELDS = ["prompt", "frame", "frames", "seed"]
# Parameters that have a place of their own in the form.

var prompt := LineEdit.new()
var maker := OptionButton.new()
var profile := OptionButton.new()
var priority := OptionButton.new()
var count := SpinBox.new()
var frames := SpinBox.new()
var folder := LineEdit.new()
var generate := Button.new()

var _makers := []
# What each entry of `maker` stands for: the fields of a submit, and the parameters that it takes.
var _parameters := VBoxContainer.new()
var _more := CheckButton.new()
var _problem := Label.new()


func _init() -> void:
	prompt.placeholder_text = "a red dragon"
	folder.text = "res://sprites"
	generate.text = "Generate"
	generate.disabled = true
	_spin(count, 1, 64)
	_spin(frames, 1, 64)
	for pair in [
		["Prompt", prompt], ["With", maker], ["Profile", profile], ["Priority", priority],
		["How many", count], ["Frames", frames], ["Into", folder],
	]:
		_add_row(pair[0], pair[1])
	_more.text = "More parameters"
	_parameters.visible = false
	for control in [_more, _parameters, _problem, generate]:
		add_child(control)
	_problem.autowrap = true
	maker.connect("item_selected", self, "_on_maker_selected")
	_more.connect("toggled", _parameters, "set_visible")
	generate.connect("pressed", self, "_on_generate_pressed")
	prompt.connect("text_entered", self, "_on_prompt_entered")


func offer(facts: Dictionary) -> void:
	# Show what the daemon offers, and keep what was chosen where it still exists.
	var chosen := maker.text
	_makers = OrderForm.makers(facts)
	_fill(maker, OrderForm.names_of(_makers), chosen)
	_fill(profile, [""] + OrderForm.names_of(facts.profiles), profile.text)
	var before := priority.text if priority.text != "" else "normal"
	_fill(priority, OrderForm.choices(facts, "priority"), before)
	generate.disabled = _makers.empty()
	_on_maker_selected(maker.selected)


func field(name: String) -> ParameterField:
	# The control of a parameter.
	return _parameters.get_node(name) as ParameterField


func order() -> Dictionary:
	# What the form says, as an order; `problem` in it says what is wrong, if anything is.
	var params := {}
	for one in _parameters.get_children():
		if one.value() != null:
			params[one.parameter.name] = one.value()
	var said := {
		"prompt": prompt.text.strip_edges(),
		"count": int(count.value),
		"frames": int(frames.value),
		"profile": profile.text,
		"priority": priority.text,
		"folder": folder.text.strip_edges(),
		"params": params,
	}
	return OrderForm.order(said, _makers[maker.selected])


func _on_maker_selected(index: int) -> void:
	for one in _parameters.get_children():
		_parameters.remove_child(one)
		one.queue_free()
	if index < 0 or index >= _makers.size():
		return
	for parameter in _makers[index].parameters:
		if not parameter.name in OWN_FIELDS:
			var one := ParameterField.new()
			_parameters.add_child(one)
			one.setup(parameter)
	frames.editable = OrderForm.takes_frames(_makers[index])
	profile.disabled = not _makers[index].takes_profile


func _on_prompt_entered(_text: String) -> void:
	_on_generate_pressed()


func _on_generate_pressed() -> void:
	if generate.disabled:
		return
	var made := order()
	_problem.text = made.get("problem", "")
	if _problem.text == "":
		emit_signal("ordered", made)


func _add_row(text: String, control: Control) -> void:
	var row := HBoxContainer.new()
	var label := Label.new()
	label.text = text
	label.rect_min_size = Vector2(72, 0)
	row.add_child(label)
	control.size_flags_horizontal = SIZE_EXPAND_FILL
	row.add_child(control)
	add_child(row)


static func _spin(box: SpinBox, least: int, most: int) -> void:
	box.min_value = least
	box.max_value = most


static func _fill(options: OptionButton, texts: Array, chosen: String) -> void:
	options.clear()
	for text in texts:
		options.add_item(text)
	if not texts.empty():
		options.select(int(max(0, texts.find(chosen))))
