extends Reference
# The thread on which the session runs, so that the editor never waits for a socket, a decoder or a disk.

const News = preload("news.gd")
const Session = preload("session.gd")

const IDLE_MS = 4
const COUNTS_MS = 50

var news := News.new()

var _thread: Thread = null
var _mutex := Mutex.new()
var _commands := []
var _is_ending := false


func start(endpoint: String, orders_path: String) -> void:
	_is_ending = false
	_commands = [["dial", endpoint]]
	_thread = Thread.new()
	_thread.start(self, "_run", orders_path)


func stop() -> void:
	# Ends within one poll of the session.
	if _thread == null:
		return
	_mutex.lock()
	_is_ending = true
	_mutex.unlock()
	_thread.wait_to_finish()
	_thread = null


func dial(endpoint: String) -> void:
	_post(["dial", endpoint])


func order(order: Dictionary) -> void:
	# See `orders.gd` for what an order is.
	_post(["order", order])


func imported(job_id: String) -> void:
	_post(["imported", job_id])


func cancel(job_id: String) -> void:
	_post(["cancel", job_id])


func want_previews(wanted: bool) -> void:
	_post(["want_previews", wanted])


func resync() -> void:
	_post(["resync", null])


func _post(command: Array) -> void:
	_mutex.lock()
	_commands.append(command)
	_mutex.unlock()


func _run(orders_path: String) -> void:
	var session := Session.new(news)
	session.orders.open(orders_path)
	var counted_ms := 0
	while true:
		_mutex.lock()
		var commands := _commands
		_commands = []
		var is_ending := _is_ending
		_mutex.unlock()
		for command in commands:
			_obey(session, command[0], command[1])
		if is_ending:
			break  # an order that was given last is on disk
		if not session.poll():
			OS.delay_msec(IDLE_MS)
		if OS.get_ticks_msec() - counted_ms > COUNTS_MS:
			counted_ms = OS.get_ticks_msec()
			news.put("counts", session.counts())
	session.close()


func _obey(session: Session, what: String, argument) -> void:
	match what:
		"dial":
			session.dial(argument)
		"order":
			session.orders.add(argument)
		"imported":
			session.orders.done(argument)
		"cancel":
			session.orders.cancel(argument)
		"want_previews":
			session.want_previews(argument)
		"resync":
			session.resync()
