extends Reference
# The jobs as the dock shows them: a bounded number, the running ones first; takes in news within a time budget.

const MOST_SHOWN = 24
const MOST_DONE = 8
const MOST_ACTIVE = 1000
# Further ones are only known to be; when those before them have gone a snapshot brings them.
const FINAL = ["succeeded", "failed", "cancelled"]

var link := {"state": "away", "detail": ""}
var pause := {}
var counts := {}
var is_dirty := true
var lacks_jobs := false
# There are more than are known here.

var _active := {}
# Jobs that have not ended, oldest first.
var _running := {}
var _done := []
# Those that ended last, newest first.
var _jobs_done := {}
var _progress := {}
var _previews := {}
var _todo := {}
var _todo_ids := []


func is_idle() -> bool:
	# All news that were taken are in.
	return _todo_ids.empty()


func take(news: Dictionary) -> void:
	# Begin with news; `work` goes on with them.
	if news.link != null:
		link = news.link
		is_dirty = true
	if news.pause != null:
		pause = news.pause
		is_dirty = true
	if news.counts != null:
		counts = news.counts
	if news.is_snapshot:
		lacks_jobs = news.is_partial
		_forget_gone(news.jobs)
	_todo = news.jobs
	_todo_ids = news.jobs.keys()
	for job_id in news.progress:
		if _active.has(job_id) or _todo.has(job_id):
			_progress[job_id] = news.progress[job_id]
			is_dirty = true
	for job_id in news.previews:
		if _active.has(job_id):
			_previews[job_id] = news.previews[job_id]
			is_dirty = true


func needs_snapshot() -> bool:
	# There would be more to show.
	return lacks_jobs and is_idle() and _active.size() < MOST_SHOWN


func work(until_usec: int) -> void:
	# Take in at least one job, and go on until that time.
	while not _todo_ids.empty():
		_put(_todo[_todo_ids.pop_back()])
		is_dirty = true
		if OS.get_ticks_usec() >= until_usec:
			return


func shown() -> Array:
	# The ids of the jobs to show, in their order.
	var ids := []
	for job_id in _running:
		if ids.size() < MOST_SHOWN:
			ids.append(job_id)
	for job_id in _active:
		if ids.size() >= MOST_SHOWN:
			break
		if not _running.has(job_id):
			ids.append(job_id)
	return ids + _done


func job(job_id: String) -> Dictionary:
	return _active[job_id] if _active.has(job_id) else _jobs_done.get(job_id, {})


func percent(job_id: String) -> float:
	# 0 to 100.
	if _progress.has(job_id):
		return float(_progress[job_id].percent)
	var items: Dictionary = job(job_id).items
	var finished: int = items.total - items.pending - items.running
	return 100.0 * finished / max(1, items.total)


func phase(job_id: String) -> String:
	return _progress[job_id].phase if _progress.has(job_id) else ""


func preview(job_id: String) -> Image:
	return _previews.get(job_id)


func summary() -> String:
	# One line on all of it.
	if link.state != "live":
		var detail: String = link.get("detail", "")
		return "not connected" + (": " + detail if detail != "" else "")
	if not pause.empty():
		var reason: String = pause.get("reason", "")
		return "paused" + (": " + reason if reason != "" else "")
	var more := "+" if lacks_jobs else ""
	return "%d running, %d%s waiting" % [_running.size(), _active.size() - _running.size(), more]


func _put(job: Dictionary) -> void:
	var job_id: String = job.job_id
	if job.state in FINAL:
		_put_done(job)
		return
	if _jobs_done.erase(job_id):  # it was retried
		_done.erase(job_id)
	var is_running: bool = job.state in ["running", "cancelling"]
	if _active.size() >= MOST_ACTIVE and not _active.has(job_id) and not is_running:
		lacks_jobs = true
		return
	_active[job_id] = job
	if is_running:
		_running[job_id] = true
	else:
		_running.erase(job_id)
		_progress.erase(job_id)


func _put_done(job: Dictionary) -> void:
	# Those that ended last stay to be seen, with their last preview.
	var job_id: String = job.job_id
	_active.erase(job_id)
	_running.erase(job_id)
	_progress.erase(job_id)
	_done.erase(job_id)
	_done.push_front(job_id)
	_jobs_done[job_id] = job
	if _done.size() > MOST_DONE:
		var oldest: String = _done.pop_back()
		_jobs_done.erase(oldest)
		_previews.erase(oldest)


func _forget_gone(jobs: Dictionary) -> void:
	# A snapshot has all that are active.
	is_dirty = true
	for job_id in _active.keys():
		if not jobs.has(job_id):
			_forget(job_id)


func _forget(job_id: String) -> void:
	_active.erase(job_id)
	_running.erase(job_id)
	_progress.erase(job_id)
	_previews.erase(job_id)
