extends SceneTree
# A link without an editor: says the news as they come, one line of JSON each time, and ends when a file `end` appears.
#
# FOLLOW in the environment is JSON: `endpoint`, and perhaps an `order` and a job to `cancel`.

const Link = preload("res://addons/stoker/link.gd")

var _link := Link.new()
var _wanted := {}


func _init() -> void:
	_wanted = parse_json(OS.get_environment("FOLLOW"))
	_link.start(_wanted.endpoint, "res://.stoker/orders.cfg")
	if _wanted.has("order"):
		_link.order(_wanted.order)


func _iteration(_delta: float) -> bool:
	var news := _link.news.take()
	var told := {}
	for name in ["link", "pause", "counts"]:
		if news[name] != null:
			told[name] = news[name]
	for name in ["said", "fetched"]:
		if not news[name].empty():
			told[name] = news[name]
	for job_id in news.jobs:
		if not told.has("jobs"):
			told.jobs = {}
		told.jobs[job_id] = news.jobs[job_id].state
	if news.is_snapshot:
		told.is_snapshot = true
		if _wanted.has("cancel"):
			_link.cancel(_wanted.cancel)
	for job_id in news.previews:
		told.preview = [job_id, news.previews[job_id].get_width(), news.previews[job_id].get_height()]
	if not told.empty():
		print("SAYS ", to_json(told))
	if File.new().file_exists("res://end"):
		_link.stop()
		quit()
	return false
