tool
extends Node
# Makes files that were fetched part of the project: lets the editor import the pictures, then saves a SpriteFrames.

signal imported(job_id, path)
signal failed(job_id, why)

const SpriteFramesMaker = preload("sprite_frames.gd")

const LOOK_MS = 200
const PATIENCE_MS = 60000
const IMAGES = ["image/png", "image/jpeg", "image/webp"]
const PIXEL_ART = """[remap]

importer="texture"
type="StreamTexture"

[deps]

source_file="%s"

[params]

flags/filter=false
flags/mipmaps=false
"""
# How a picture is imported the first time: sharp when enlarged. What somebody sets in the editor later is kept.

var _filesystem: EditorFileSystem
var _waiting := []
# Jobs whose pictures the editor imports, the oldest first.
var _textures := []
var _look_at_ms := 0
var _wants_scan := false


func setup(filesystem: EditorFileSystem) -> void:
	_filesystem = filesystem


func import(fetched: Dictionary) -> void:
	# `fetched` is what a link tells: the job, its order, the files.
	var pictures := []
	for file in fetched.files:
		if file.media_type in IMAGES:
			pictures.append(file)
			_write_settings(file.path)
	pictures.sort_custom(SpriteFramesMaker, "by_place")
	_waiting.append({"order": fetched.order, "pictures": pictures, "until_ms": OS.get_ticks_msec() + PATIENCE_MS})
	_wants_scan = true


func is_idle() -> bool:
	return _waiting.empty()


func work() -> void:
	# One small step at most; the import itself is the editor's.
	if _waiting.empty() or OS.get_ticks_msec() < _look_at_ms:
		return
	if _filesystem.is_scanning():
		_look_at_ms = OS.get_ticks_msec() + LOOK_MS
		return
	if _wants_scan:
		_wants_scan = false
		_filesystem.scan()
		_look_at_ms = OS.get_ticks_msec() + LOOK_MS
		return
	_take_texture(_waiting[0])


func _take_texture(job: Dictionary) -> void:
	# One texture a frame, then the whole.
	if _textures.size() == job.pictures.size():
		_save(job)
		return
	var path: String = job.pictures[_textures.size()].path
	var texture = load(path) if ResourceLoader.exists(path) else null
	if texture is Texture:
		_textures.append(texture)
		return
	_look_at_ms = OS.get_ticks_msec() + LOOK_MS
	if OS.get_ticks_msec() > job.until_ms:
		_end(job, "", "the editor does not import %s" % path)
	else:
		_wants_scan = true


func _save(job: Dictionary) -> void:
	var order: Dictionary = job.order
	var path: String = order.folder.plus_file(order.title + ".tres")
	if _textures.empty():
		_end(job, order.folder, "")
		return
	var made := SpriteFramesMaker.build(_textures, order.frames, order.animation, order.fps)
	if ResourceSaver.save(path, made) != OK:
		_end(job, "", "can't write %s" % path)
		return
	_filesystem.update_file(path)
	_end(job, path, "")


func _end(job: Dictionary, path: String, why: String) -> void:
	_waiting.pop_front()
	_textures = []
	if why == "":
		emit_signal("imported", job.order.job_id, path)
	else:
		emit_signal("failed", job.order.job_id, why)


static func _write_settings(path: String) -> void:
	var file := File.new()
	if not file.file_exists(path + ".import") and file.open(path + ".import", File.WRITE) == OK:
		file.store_string(PIXEL_ART % path)
		file.close()
