extends SceneTree
# Says what a SpriteFrames of the project holds.


func _init() -> void:
	var frames: SpriteFrames = load("res://" + OS.get_environment("FRAMES"))
	var animations := {}
	var sizes := []
	var is_sharp := true
	var different := {}
	var files := {}
	for name in frames.get_animation_names():
		animations[name] = frames.get_frame_count(name)
		files[name] = []
		for index in frames.get_frame_count(name):
			var texture: Texture = frames.get_frame(name, index)
			var size := [texture.get_width(), texture.get_height()]
			if not size in sizes:
				sizes.append(size)
			is_sharp = is_sharp and not texture.flags & Texture.FLAG_FILTER
			files[name].append(texture.resource_path)
			different[File.new().get_md5(texture.resource_path)] = true
	print("SAYS ", to_json({
		"animations": animations, "sizes": sizes, "is_sharp": is_sharp, "different": different.size(),
		"files": files,
	}))
	quit()
