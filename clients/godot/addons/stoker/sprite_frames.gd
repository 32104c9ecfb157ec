extends Reference
# Pictures of a job as one SpriteFrames: each copy that was ordered is an animation of it.


static func build(textures: Array, frames: int, animation: String, fps: float) -> SpriteFrames:
	# `textures` in the order of the items; `frames` of them are one animation.
	var made := SpriteFrames.new()
	made.remove_animation("default")
	for index in textures.size():
		var copy: int = index / frames
		var name: String = animation if copy == 0 else "%s_%d" % [animation, copy + 1]
		if not made.has_animation(name):
			made.add_animation(name)
			made.set_animation_speed(name, fps)
			made.set_animation_loop(name, true)
		made.add_frame(name, textures[index])
	return made


static func by_place(a: Dictionary, b: Dictionary) -> bool:
	# The order of files: by item, then by output.
	return a.output < b.output if a.index == b.index else a.index < b.index
