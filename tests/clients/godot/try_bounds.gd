extends SceneTree
# Ten thousand jobs through the news, the board and the dock, without a daemon; says how much of it each keeps.

const Board = preload("res://addons/stoker/board.gd")
const Dock = preload("res://addons/stoker/dock.gd")
const News = preload("res://addons/stoker/news.gd")

const JOBS = 10000


func _init() -> void:
	var news := News.new()
	for number in JOBS:
		news.put_of_job("jobs", "job-%d" % number, _job(number, "queued"))
		news.put_of_job("progress", "job-%d" % number, {"percent": 1, "phase": "x"})
		news.say("line %d" % number)
	var taken := news.take()
	var board := Board.new()
	board.take(taken)
	board.work(0)
	var after_no_time: int = board.shown().size()
	var slices := 1
	while not board.is_idle():
		board.work(OS.get_ticks_usec() + 500)
		slices += 1
	var shown_waiting: int = board.shown().size()
	_tell_all(board, news, "queued")
	board.link = {"state": "live"}
	var summary: String = board.summary()
	var active: int = board._active.size()
	var previews := [_most_previews(board, news), board._previews.size()]
	_tell_all(board, news, "succeeded")
	var dock := Dock.new()
	get_root().add_child(dock)
	var rows := []
	for _refresh in 10:
		dock.refresh(board, 0)
		rows.append(dock.rows().size())
		OS.delay_msec(Dock.REFRESH_MS + 1)
	for number in JOBS:
		dock.say("line %d" % number)
	print("SAYS ", to_json({
		"news": taken.jobs.size(), "progress": taken.progress.size(), "is_cut": taken.is_cut, "said": taken.said.size(),
		"after_no_time": after_no_time, "has_slices": slices > 1, "shown": shown_waiting,
		"previews": previews, "previews_left": board._previews.size(),
		"kept": board._active.size() + board._jobs_done.size() + board._progress.size(),
		"active": active, "summary": summary, "needs_snapshot": board.needs_snapshot(), "rows": rows, "lines": dock.said.text.count("\n") + 1,
	}))
	dock.free()
	quit()


func _most_previews(board: Board, news: News) -> int:
	# A picture of each of ten thousand jobs, most of them unknown to the board: how many are in the news.
	var picture := Image.new()
	picture.create(64, 64, false, Image.FORMAT_RGBA8)
	for number in JOBS:
		news.put_of_job("previews", "job-%d" % number, picture)
	var taken := news.take()
	board.take(taken)
	return taken.previews.size()


func _tell_all(board: Board, news: News, state: String) -> void:
	for number in JOBS:
		news.put_of_job("jobs", "job-%d" % number, _job(number, state))
		if number % 1000 == 999:
			board.take(news.take())
			while not board.is_idle():
				board.work(OS.get_ticks_usec() + 500)


static func _job(number: int, state: String) -> Dictionary:
	var items := {"total": 1, "pending": 1, "running": 0, "succeeded": 0, "failed": 0}
	return {"job_id": "job-%d" % number, "name": "", "state": state, "items": items, "paused": null}
