extends Reference
# What this project has ordered and does not have yet: kept in a file, submitted until it is accepted, fetched when done.
#
# An order is a map: `job_id`, `request` (the fields of a submit), `folder`, `title`, `frames`, `animation`, `fps`, and
# the `instance_id` of the daemon that accepted it (empty: none has yet). Submitting the same again is harmless, so
# neither a lost reply, nor a restart of the daemon or of the editor, makes anything twice or loses it.

const Fetch = preload("fetch.gd")

const MOST = 200
const RETRY_MS = 5000
const FINAL = ["succeeded", "failed", "cancelled"]

var _requests: Reference
var _news: Reference
var _path := ""
var _orders := {}
var _instance_id := ""
var _submit_at_ms := 0
# When to submit again what was refused for the moment; 0: nothing was.
var _to_fetch := []
var _fetch: Fetch = null
var _seen := {}
# Orders whose files are fetched or waited for.


func _init(requests: Reference, news: Reference) -> void:
	_requests = requests
	_news = news


func open(path: String) -> void:
	# Keep orders in this file, and go on with those that are in it.
	_path = path
	var file := ConfigFile.new()
	if file.load(path) == OK and file.has_section("orders"):
		for job_id in file.get_section_keys("orders"):
			_orders[job_id] = file.get_value("orders", job_id)


func close() -> void:
	_fetch = null
	_to_fetch = []


func add(order: Dictionary) -> void:
	# On disk before anybody is asked.
	if _orders.size() >= MOST:
		_news.say("%d orders are under way; this one was not taken" % MOST)
		return
	_orders[order.job_id] = order
	_save()
	if _instance_id != "":
		_submit(order)


func has(job_id: String) -> bool:
	return _orders.has(job_id)


func accepted_by(instance_id: String) -> Array:
	# The jobs that the daemon with this database has accepted.
	var found := []
	for order in _orders.values():
		if order.instance_id == instance_id:
			found.append(order.job_id)
	return found


func keep_only(jobs: Dictionary, asked: Array) -> void:
	# Forget orders whose jobs the daemon was asked for and has no more.
	for job_id in asked:
		if not jobs.has(job_id) and _orders.has(job_id):
			_news.say("%s is gone: the daemon no longer has it" % _orders[job_id].title)
			done(job_id)


func daemon_is(instance_id: String) -> void:
	# Submit what nobody has accepted yet.
	_instance_id = instance_id
	_submit_all()


func poll() -> void:
	if _submit_at_ms > 0 and OS.get_ticks_msec() >= _submit_at_ms:
		_submit_at_ms = 0
		_submit_all()


func see(job: Dictionary) -> void:
	# A job is as this now; if it is ours and has ended, its files are fetched.
	if not _orders.has(job.job_id) or _seen.has(job.job_id) or not job.state in FINAL:
		return
	if job.items.succeeded == 0:
		var why: String = ": " + job.error.message if job.error != null else ""
		_news.say("%s %s%s" % [_orders[job.job_id].title, job.state, why])
		done(job.job_id)
		return
	_seen[job.job_id] = true
	_to_fetch.append(job)
	_fetch_next()


func cancel(job_id: String) -> void:
	# Any job, not only one of ours.
	_requests.ask("cancel", {"job_ids": [job_id]}, self, "_cancelled")


func done(job_id: String) -> void:
	# Its pictures are in the project, or there will be none.
	_orders.erase(job_id)
	_seen.erase(job_id)
	_save()


func _submit_all() -> void:
	for order in _orders.values():
		if order.instance_id == "":
			_submit(order)


func _submit(order: Dictionary) -> void:
	var fields: Dictionary = order.request.duplicate()
	fields.job_id = order.job_id
	_requests.ask("submit", fields, self, "_submitted", order.job_id)


func _submitted(reply: Dictionary, job_id: String) -> void:
	if not _orders.has(job_id):
		return
	var order: Dictionary = _orders[job_id]
	if reply.re == "submitted":
		order.instance_id = _instance_id
		_save()
		_requests.ask("job", {"job_id": job_id}, self, "_looked")  # it may have ended before we heard of it
	elif reply.get("retryable", false):
		_submit_at_ms = OS.get_ticks_msec() + int(max(RETRY_MS, 1000 * _seconds(reply.get("retry_after_s"))))
		_news.say("%s waits: %s" % [order.title, reply.message])
	else:
		_news.say("%s was refused: %s" % [order.title, refusal(reply)])
		done(job_id)


func _cancelled(reply: Dictionary, _tag) -> void:
	if reply.re == "error":
		_news.say("not cancelled: " + refusal(reply))


func _looked(reply: Dictionary, _tag) -> void:
	if reply.re == "job":
		see(reply.job)


func _fetch_next() -> void:
	if _fetch != null or _to_fetch.empty():
		return
	var job: Dictionary = _to_fetch.pop_front()
	_fetch = Fetch.new(_requests, job, _orders[job.job_id].folder)
	_fetch.begin(self, "_fetched")


func _fetched(job: Dictionary, files: Array, why: String) -> void:
	# With a reason it failed; the order stays, and is tried again after the next snapshot.
	_fetch = null
	if why != "":
		_seen.erase(job.job_id)
		_news.say("%s: %s" % [_orders[job.job_id].title, why])
	elif _orders.has(job.job_id):
		_news.put_fetched(job, _orders[job.job_id], files)
	_fetch_next()


func _save() -> void:
	# Beside it first, so that a crash leaves the old one or the new one.
	if _path == "":
		return
	var directory := Directory.new()
	directory.make_dir_recursive(_path.get_base_dir())
	var file := ConfigFile.new()
	for job_id in _orders:
		file.set_value("orders", job_id, _orders[job_id])
	if file.save(_path + ".part") != OK or directory.rename(_path + ".part", _path) != OK:
		_news.say("can't write %s: orders are forgotten when the editor closes" % _path)


static func refusal(reply: Dictionary) -> String:
	# What to tell a person of an error reply.
	var hint: String = reply.get("hint", "")
	return "%s (%s)" % [reply.message, hint] if hint != "" else reply.message


static func _seconds(value) -> float:
	return float(value) if value != null else 0.0
