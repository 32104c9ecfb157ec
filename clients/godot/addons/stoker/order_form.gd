extends Reference
# From what the daemon offers to the choices of the form, and from what was chosen to an order. Nothing on screen here.

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
const LONGEST_TITLE = 32
const FPS = 8.0


static func makers(facts: Dictionary) -> Array:
	# What can make pictures: each model of each engine, and each recipe; with the parameters that it takes. A profile is
	# for what is made by a recipe.
	var found := []
	var have_recipes := {}
	for recipe in facts.recipes:
		have_recipes[recipe.engine] = true
	for engine in facts.engines:
		for model in engine.models:
			if model.kind == "checkpoint" and _takes(engine.parameters, "prompt"):
				var is_usual: bool = model.name == engine.default_model
				var one := {
					"name": "%s %s" % [engine.name, model.name],
					"fields": {"engine": engine.name, "model": model.name},
					"parameters": engine.parameters,
					"takes_profile": have_recipes.has(engine.name),
				}
				found.insert(0 if is_usual else found.size(), one)
	for recipe in facts.recipes:
		found.append(
			{
				"name": "recipe " + recipe.name,
				"fields": {"engine": recipe.engine, "recipe": recipe.name},
				"parameters": recipe.parameters,
				"takes_profile": true,
			}
		)
	return found


static func choices(facts: Dictionary, name: String) -> Array:
	# What a field of a submit may be, by the daemon's own description.
	var schema: Dictionary = _resolved(facts.submit, facts.definitions).properties[name]
	return _resolved(schema, facts.definitions).get("enum", [])


static func names_of(list: Array) -> Array:
	var names := []
	for one in list:
		names.append(one.name)
	return names


static func takes_frames(maker: Dictionary) -> bool:
	return _takes(maker.parameters, "frame") and _takes(maker.parameters, "frames")


static func order(said: Dictionary, maker: Dictionary) -> Dictionary:
	# `said`: prompt, count, frames, profile, priority, folder, params. An order with a `problem` is none.
	if said.prompt == "":
		return {"problem": "Say what to draw."}
	if not said.folder.begins_with("res://") or ".." in said.folder:
		return {"problem": "The folder must be in the project: res://..."}
	var job_id := new_job_id()
	var frames: int = said.frames if takes_frames(maker) else 1
	var request: Dictionary = maker.fields.duplicate()
	request.items = _items(said, frames, maker, job_id)
	request.params = said.params
	request.name = said.prompt.left(200)
	request.priority = said.priority
	request.metadata = {"made_for": "Godot"}
	if said.profile != "" and maker.takes_profile:
		request.profile = said.profile
	var title := slug(said.prompt)
	return {
		"job_id": job_id,
		"instance_id": "",
		"request": request,
		"title": title,
		"folder": said.folder.plus_file("%s_%s" % [title, job_id.left(5)]),
		"frames": frames,
		"animation": str(said.params.get("pose", "default")),
		"fps": FPS,
	}


static func new_job_id() -> String:
	# 12 characters, 60 random bits, as the other clients make them.
	var bytes := Crypto.new().generate_random_bytes(12)
	var id := ""
	for byte in bytes:
		id += ALPHABET[byte & 31]
	return id


static func slug(prompt: String) -> String:
	# The prompt as part of a file's name.
	var out := ""
	for letter in prompt.to_lower():
		var is_plain: bool = letter in "abcdefghijklmnopqrstuvwxyz0123456789"
		if is_plain:
			out += letter
		elif out != "" and not out.ends_with("_"):
			out += "_"
	out = out.left(LONGEST_TITLE).rstrip("_")
	return out if out != "" else "sprite"


static func _items(said: Dictionary, frames: int, maker: Dictionary, job_id: String) -> Array:
	# Each copy has a seed of its own, which all of its frames share.
	var first_frame := 0
	for parameter in maker.parameters:
		if parameter.name == "frame" and parameter.get("minimum") != null:
			first_frame = int(parameter.minimum)
	var items := []
	for copy in said.count:
		for frame in frames:
			var params := {"prompt": said.prompt}
			if _takes(maker.parameters, "seed"):
				params.seed = (hash(job_id) + copy) & 0x7fffffff
			if frames > 1:
				params.frame = first_frame + frame
				params.frames = frames
			items.append({"params": params})
	return items


static func _takes(parameters: Array, name: String) -> bool:
	for parameter in parameters:
		if parameter.name == name:
			return true
	return false


static func _resolved(schema: Dictionary, definitions: Dictionary) -> Dictionary:
	# A reference points into `#/definitions/`; one with a default beside it stands in `allOf` or `anyOf`.
	if schema.has("$ref"):
		return definitions[schema["$ref"].get_file()]
	for name in ["allOf", "anyOf"]:
		if schema.has(name):
			return _resolved(schema[name][0], definitions)
	return schema
