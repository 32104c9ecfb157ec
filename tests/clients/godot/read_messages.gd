extends SceneTree
# Reads each file that is named on a line of the file in MESSAGES, and says what it holds and how it is written again.

const Msgpack = preload("res://addons/stoker/msgpack.gd")


func _init() -> void:
	var list := File.new()
	list.open(OS.get_environment("MESSAGES"), File.READ)
	var codec := Msgpack.new()
	while not list.eof_reached():
		var path := list.get_line()
		if path == "":
			continue
		var file := File.new()
		file.open(path, File.READ)
		var value = codec.unpack(file.get_buffer(file.get_len()))
		var again: String = Msgpack.pack(value).hex_encode() if codec.error == "" else ""
		var shown = _plain(value) if OS.get_environment("SHOW") == "values" else null
		print("SAYS ", to_json({"error": codec.error, "value": shown, "again": again}))
	quit()


static func _plain(value):
	# With bytes as base64, as the golden JSON files have them.
	if value is PoolByteArray:
		return Marshalls.raw_to_base64(value) if value.size() > 0 else ""
	if value is Array:
		var parts := []
		for part in value:
			parts.append(_plain(part))
		return parts
	if value is Dictionary:
		var parts := {}
		for key in value:
			parts[str(key)] = _plain(value[key])
		return parts
	return value
