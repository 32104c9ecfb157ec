extends Reference
# The conversation with one daemon: join, follow all events, catch up on what was missed, come back after an absence.
#
# Runs on the thread of the link; `poll` never waits. What it learns goes to the news.
# Source: docs/protocol.md, "Events": subscribe, sync, snapshot, then each event once.

const Follower = preload("follower.gd")
const Msgpack = preload("msgpack.gd")
const Orders = preload("orders.gd")
const Requests = preload("requests.gd")
const Thumbnail = preload("thumbnail.gd")
const Zmtp = preload("zmtp.gd")

enum { AWAY, GREETING, JOINING, CATCHING_UP, LIVE }

const VERSION = 1
const TOPICS = ["job/", "queue/", "lane/", "gpu/", "engine/", "daemon/"]
# All that have lifecycle events; who misses one of them sees holes.
const SILENCE_MS = 4000
# Ticks come each second.
const JOIN_MS = 6000
const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 10000
const MOST_JOBS = 500
const EVENTS_A_POLL = 500
const READ_MS = 100

var requests := Requests.new()
var orders: Orders
var events_seen := 0
var caught_up := 0

var _news: Reference
var _host := ""
var _port := 0
var _state: int = AWAY
var _due_ms := 0
# When to try again while AWAY; until when something must have come in all other states.
var _wait_ms := FIRST_WAIT_MS
var _events := Zmtp.new()
var _codec := Msgpack.new()
var _follower := Follower.new()
var _wants_previews := true
var _sync := ""
var _snapshot := {}
var _first_page := {}
var _is_partial := false
# There are more jobs than the snapshot has.
var _unread := {}
# The newest event of each job that was not read yet.
var _read_at_ms := 0
var _facts := {}
var _facts_told := 0
# The hash of what was told: to build the form anew costs the editor time.


func _init(news: Reference) -> void:
	_news = news
	orders = Orders.new(requests, news)


func dial(endpoint: String) -> void:
	# Talk to the daemon at `tcp://host:port` from now on.
	var address := endpoint.trim_prefix("tcp://")
	var colon := address.rfind(":")
	_host = address.left(colon).trim_prefix("[").trim_suffix("]")
	_port = int(address.substr(colon + 1))
	_leave("", 0)
	_wait_ms = FIRST_WAIT_MS


func want_previews(wanted: bool) -> void:
	if wanted != _wants_previews:
		_wants_previews = wanted
		if _state != AWAY:
			_leave("", 0)


func resync() -> void:
	# Take a snapshot again: somebody lost track.
	if _state == LIVE:
		_take_snapshot()


func counts() -> Dictionary:
	# What came so far, and up to which event all is known.
	return {"events": events_seen, "caught_up": caught_up, "through": _follower.through}


func close() -> void:
	requests.forget_all()
	requests.close()
	_events.close()
	orders.close()


func poll() -> bool:
	# Go on as far as that needs no waiting; whether anything came.
	if _host == "":
		return false
	var now_ms := OS.get_ticks_msec()
	if _state == AWAY:
		if now_ms >= _due_ms:
			_greet()
		return false
	orders.poll()
	if now_ms >= _read_at_ms:
		_read_at_ms = now_ms + READ_MS
		_read_kept()
	var came := requests.poll()
	_events.poll()
	came = _take_events() or came
	if _state == AWAY:
		pass  # what came was the reason to leave
	elif requests.is_lost():
		_leave(requests.why_lost(), _wait_ms)
	elif _state > GREETING and _events.state == Zmtp.CLOSED:
		_leave("events: " + _events.why_closed, _wait_ms)
	elif now_ms > _due_ms:
		_leave("the daemon is silent", _wait_ms)
	return came


func _greet() -> void:
	_state = GREETING
	_due_ms = OS.get_ticks_msec() + JOIN_MS + Requests.ANSWER_MS
	requests.open(_host, _port)
	requests.ask("hello", {}, self, "_welcomed")


func _leave(why: String, wait_ms: int) -> void:
	# Drop the connections and come back later, each time later; what others asked for is asked again then.
	_state = AWAY
	_due_ms = OS.get_ticks_msec() + wait_ms
	_wait_ms = int(min(2 * _wait_ms, LONGEST_WAIT_MS))
	requests.forget(self)
	requests.close()
	_events.close()
	_news.put("link", {"state": "away", "detail": why, "host": _host, "port": _port})


func _welcomed(reply: Dictionary, _tag) -> void:
	if reply.re != "welcome":
		_leave("%s: %s" % [reply.get("code", reply.re), reply.get("message", "")], LONGEST_WAIT_MS)
		return
	if not VERSION in reply.versions:
		var spoken := "the daemon speaks %s, this plugin version %d" % [reply.versions, VERSION]
		_leave(spoken, LONGEST_WAIT_MS)
		return
	for endpoint in reply.events:
		if endpoint.begins_with("tcp://"):
			_state = JOINING
			_due_ms = OS.get_ticks_msec() + JOIN_MS
			_sync = ""
			_events.open(_host, int(endpoint.substr(endpoint.rfind(":") + 1)), "SUB")
			return
	_leave("the daemon offers no events over TCP", LONGEST_WAIT_MS)


func _join() -> void:
	# Subscribe; the answer on the last topic tells that all are in force.
	_sync = "sync/" + requests.next_id()
	for topic in TOPICS:
		_events.subscribe(topic)
	if _wants_previews:
		_events.subscribe("preview/")
	_events.subscribe(_sync)


func _take_events() -> bool:
	# While something missing is asked for, what comes waits in its connection.
	if _state == JOINING and _events.state == Zmtp.READY and _sync == "":
		_join()
	var count := 0
	while count < EVENTS_A_POLL and (_state == LIVE or _state == JOINING):
		var frames = _events.receive()
		if frames == null:
			break
		count += 1
		_take_event(frames[0], frames[-1])
	events_seen += count
	if count > 0 and _state == LIVE:
		_due_ms = OS.get_ticks_msec() + SILENCE_MS
	return count > 0


func _take_event(topic: PoolByteArray, body: PoolByteArray) -> void:
	# Its number and kind come first; the rest is read only if it is needed.
	if _state == JOINING and topic.get_string_from_utf8() != _sync:
		return  # older than the answer to the sync, so what is asked for then tells it
	var head := _codec.peek(body, ["seq", "type"])
	if not head.get("type") is String:
		return
	if head.get("seq") == null:
		head = _codec.unpack(body)
		if typeof(head) != TYPE_DICTIONARY:
			return
	match _follower.receive(head):
		Follower.APPLY:
			if head.seq == null:
				_tell(head)
			else:
				_keep(topic.get_string_from_utf8(), body)
		Follower.CATCH_UP:
			_catch_up()
		Follower.RESYNC:
			_take_snapshot()
		_:
			if _state == JOINING:
				_go_live()


func _keep(topic: String, body: PoolByteArray) -> void:
	# Of a job only the newest event is read, some times a second: it carries the whole state.
	var parts := topic.split("/")
	if parts[0] == "job" and parts.size() > 2 and not orders.has(parts[1]):
		_unread[parts[1]] = body
	else:
		_read(body)


func _read(body: PoolByteArray) -> void:
	var event = _codec.unpack(body)
	if typeof(event) == TYPE_DICTIONARY:
		_tell(event)


func _read_kept() -> void:
	for body in _unread.values():
		_read(body)
	_unread.clear()


func _catch_up() -> void:
	_read_kept()
	_state = CATCHING_UP
	_due_ms = OS.get_ticks_msec() + 2 * Requests.ANSWER_MS
	requests.ask("events_since", {"seq": _follower.through}, self, "_caught_up", _follower.through)


func _caught_up(page: Dictionary, asked_from: int) -> void:
	if page.re != "events":
		_leave(page.get("message", "?"), _wait_ms)
		return
	var advice := _follower.catch_up(page)
	if advice == Follower.RESYNC:
		_take_snapshot()
		return
	caught_up += page.events.size()
	for published in page.events:
		if published.body.seq > asked_from:
			_tell(published.body)
	if advice == Follower.CATCH_UP:
		_catch_up()
	else:
		_go_live()


func _take_snapshot() -> void:
	_is_partial = false
	_unread.clear()
	_state = CATCHING_UP
	_snapshot = {}
	_first_page = {}
	_ask_snapshot({})


func _ask_snapshot(fields: Dictionary) -> void:
	_due_ms = OS.get_ticks_msec() + 2 * Requests.ANSWER_MS
	requests.ask("snapshot", fields, self, "_take_page", fields)


func _take_page(page: Dictionary, asked: Dictionary) -> void:
	if page.re != "snapshot":
		_leave(page.get("message", "?"), _wait_ms)
		return
	if _first_page.empty():
		_first_page = page
	for job in page.jobs:
		_snapshot[job.job_id] = job
	_is_partial = _is_partial or (page.cursor != "" and _snapshot.size() >= MOST_JOBS)
	if page.cursor != "" and _snapshot.size() < MOST_JOBS:
		var fields := asked.duplicate()
		fields.cursor = page.cursor
		_ask_snapshot(fields)
		return
	var ours := orders.accepted_by(_first_page.daemon.instance_id)
	if not asked.has("job_ids") and ours.size() > 0:
		_ask_snapshot({"job_ids": ours})  # those that ended meanwhile are in no other page
	else:
		orders.keep_only(_snapshot, ours)
		_take_state()


func _take_state() -> void:
	# All is as of the first page's seq or later; a job tells its newest state by what comes.
	_follower.restart(_first_page.seq, _first_page.daemon.instance_id, _first_page.daemon.boot)
	orders.daemon_is(_first_page.daemon.instance_id)
	_news.put_snapshot(_snapshot, _is_partial)
	_news.put("pause", _pause_of(_first_page.queue.paused))
	for job in _snapshot.values():
		orders.see(job)
	_snapshot = {}
	_ask_facts()
	_go_live()


func _go_live() -> void:
	_state = LIVE
	_wait_ms = FIRST_WAIT_MS
	_due_ms = OS.get_ticks_msec() + SILENCE_MS
	_news.put("link", {"state": "live", "detail": "", "host": _host, "port": _port})


func _ask_facts() -> void:
	# What the generate box is made from.
	for op in ["describe", "engines", "recipes", "profiles"]:
		requests.ask(op, {}, self, "_take_fact", op)


func _take_fact(reply: Dictionary, op: String) -> void:
	if op == "describe":
		_facts.submit = reply.requests.submit if reply.re == "description" else {}
		_facts.definitions = reply.definitions if reply.re == "description" else {}
	else:
		_facts[op] = reply.get(op, [])
	if _facts.has_all(["submit", "engines", "recipes", "profiles"]):
		if _facts.hash() != _facts_told:
			_facts_told = _facts.hash()
			_news.put("facts", _facts)
		_facts = {}


func _tell(event: Dictionary) -> void:
	if event.has("job"):
		_news.put_of_job("jobs", event.job.job_id, event.job)
		orders.see(event.job)
		return
	match event.type:
		"job_progress":
			_news.put_of_job("progress", event.job_id, event.progress)
		"preview":
			var image := Thumbnail.of(event.image, event.media_type)
			if image != null:
				_news.put_of_job("previews", event.job_id, image)
		"daemon_started":
			_ask_facts()
		"queue_paused":
			_news.put("pause", _pause_of(event.paused))
		"queue_resumed":
			_news.put("pause", {})


static func _pause_of(paused) -> Dictionary:
	return paused if paused != null else {}
