extends Reference
# Brings the files of one job into a folder of the project, checked; each appears under its name only when it is whole.

const CHUNK = 1 << 18
const MOST_FILES = 2000
const MOST_BYTES = 256 << 20

var _requests: Reference
var _job: Dictionary
var _folder := ""
var _target: Object
var _method := ""
var _artifacts := []
var _files := []
var _current := {}
var _file := File.new()
var _hash := HashingContext.new()


func _init(requests: Reference, job: Dictionary, folder: String) -> void:
	_requests = requests
	_job = job
	_folder = folder


func begin(target: Object, method: String) -> void:
	# `target.method(job, files, why)` is called at the end; a file is `path`, `index`, `output`, `media_type`.
	_target = target
	_method = method
	_requests.ask("artifacts", {"job_id": _job.job_id}, self, "_listed")


func _listed(page: Dictionary, _tag) -> void:
	if page.re != "artifacts":
		_end(page.get("message", "?"))
		return
	_artifacts += page.artifacts
	if page.cursor != "" and _artifacts.size() < MOST_FILES:
		_requests.ask("artifacts", {"job_id": _job.job_id, "cursor": page.cursor}, self, "_listed")
		return
	var directory := Directory.new()
	if directory.make_dir_recursive(_folder) != OK:
		_end("can't make the folder %s" % _folder)
		return
	_next()


func _next() -> void:
	while not _artifacts.empty():
		_current = _artifacts.pop_front()
		var path := _path_of(_current)
		if path == "" or _current.bytes > MOST_BYTES:
			continue
		if _file.get_sha256(path) == _current.sha256:
			_keep(path)
			continue
		if _file.open(path + ".part", File.WRITE) != OK:
			_end("can't write %s.part" % path)
			return
		_hash.start(HashingContext.HASH_SHA256)
		_read_from(0)
		return
	_end("")


func _read_from(offset: int) -> void:
	var fields := {"artifact_id": _current.artifact_id, "offset": offset, "length": CHUNK}
	_requests.ask("read_artifact", fields, self, "_read", offset)


func _read(reply: Dictionary, offset: int) -> void:
	if reply.re != "artifact_bytes":
		_end(reply.get("message", "?"))
		return
	_file.store_buffer(reply.data)
	if _file.get_error() != OK:
		_end("can't write into %s: is the disk full?" % _folder)
		return
	if reply.data.size() > 0:
		_hash.update(reply.data)
	var through: int = offset + reply.data.size()
	if through < reply.total and reply.data.size() > 0:
		_read_from(through)
	else:
		_finish()


func _finish() -> void:
	_file.close()
	var path := _path_of(_current)
	if _hash.finish().hex_encode() != _current.sha256:
		_end("%s came with other bytes than were made" % path)
		return
	var directory := Directory.new()
	directory.remove(path)  # Windows renames onto nothing that is there
	if directory.rename(path + ".part", path) != OK:
		_end("can't rename %s.part" % path)
		return
	_keep(path)
	_next()


func _keep(path: String) -> void:
	_files.append(
		{"path": path, "index": _current.index, "output": _current.output, "media_type": _current.media_type}
	)


func _path_of(artifact: Dictionary) -> String:
	# The name is made here, from numbers: no text of the daemon leads out of the folder.
	var suffix: String = artifact.path.get_extension()
	if not suffix.is_valid_filename() or suffix == "" or suffix.length() > 10:
		return ""
	return _folder.plus_file("%05d_%d.%s" % [artifact.index, artifact.output, suffix])


func _end(why: String) -> void:
	_file.close()
	_target.call(_method, _job, _files, why)
	_target = null
