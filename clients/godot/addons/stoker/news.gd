extends Reference
# What was learned since somebody last looked: of each thing only the newest, so that it stays small however much comes.
#
# The thread of the link writes, the editor's thread takes.

const MOST_JOBS = 1000

var _mutex := Mutex.new()
var _news := _nothing()


func take() -> Dictionary:
	_mutex.lock()
	var taken := _news
	_news = _nothing()
	_mutex.unlock()
	return taken


func put(name: String, value) -> void:
	# One of `link`, `pause` (an empty map: work goes on), `facts`, `counts`.
	_mutex.lock()
	_news[name] = value
	_mutex.unlock()


func put_of_job(name: String, job_id: String, value) -> void:
	# One of `jobs`, `progress`, `previews`. Beyond the bound only `is_cut` is told: a snapshot says the rest.
	_mutex.lock()
	if _news[name].size() < MOST_JOBS or _news[name].has(job_id):
		_news[name][job_id] = value
	else:
		_news.is_cut = true
	_mutex.unlock()


func put_snapshot(jobs: Dictionary, is_partial: bool) -> void:
	# These are all that matter, or the first of them; what was told of others before is over.
	_mutex.lock()
	_news.jobs = jobs
	_news.progress = {}
	_news.is_snapshot = true
	_news.is_partial = is_partial
	_news.is_cut = false
	_mutex.unlock()


func say(text: String) -> void:
	# One line for the person at the editor; of many the last ones.
	_mutex.lock()
	_news.said.append(text)
	if _news.said.size() > 20:
		_news.said.pop_front()
	_mutex.unlock()


func put_fetched(job: Dictionary, order: Dictionary, files: Array) -> void:
	# There are never more than there are orders, which are bounded.
	_mutex.lock()
	_news.fetched.append({"job": job, "order": order, "files": files})
	_mutex.unlock()


static func _nothing() -> Dictionary:
	return {
		"link": null,
		"pause": null,
		"facts": null,
		"counts": null,
		"jobs": {},
		"progress": {},
		"previews": {},
		"is_snapshot": false,
		"is_partial": false,
		"is_cut": false,
		"said": [],
		"fetched": [],
	}
