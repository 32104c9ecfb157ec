extends Reference
# Requests and their replies. What nobody answered is sent again on the next connection, under the same id: the daemon
# makes that harmless.

const Msgpack = preload("msgpack.gd")
const Zmtp = preload("zmtp.gd")

const ANSWER_MS = 5000
const MOST_WAITING = 500

var _connection := Zmtp.new()
var _codec := Msgpack.new()
var _waiting := {}
# By id: the bytes, who is called with the reply, when the answer is due (0: not sent on this connection).
var _nonce := "godot-%x" % (OS.get_unix_time() * 1000 + OS.get_ticks_usec() % 1000)
var _count := 0


func open(host: String, port: int) -> void:
	# Connect anew; what still waits is sent again.
	_connection.open(host, port, "DEALER")
	for request in _waiting.values():
		request.due_ms = 0


func close(why := "") -> void:
	_connection.close(why)


func is_lost() -> bool:
	return _connection.state == Zmtp.CLOSED


func why_lost() -> String:
	return _connection.why_closed


func ask(op: String, fields: Dictionary, target: Object, method: String, tag = null) -> void:
	# `target.method(reply, tag)` is called once with the reply, which may be a refusal (`re` is "error").
	if _waiting.size() >= MOST_WAITING:
		target.call(method, {"re": "error", "code": "queue_full", "message": "too many requests wait here"}, tag)
		return
	var id := next_id()
	var body := {"v": 1, "id": id, "op": op}
	for name in fields:
		body[name] = fields[name]
	_waiting[id] = {"bytes": Msgpack.pack(body), "target": target, "method": method, "tag": tag, "due_ms": 0}


func next_id() -> String:
	_count += 1
	return "%s-%d" % [_nonce, _count]


func forget(target: Object) -> void:
	# Nobody needs the replies that this target waits for.
	for id in _waiting.keys():
		if _waiting[id].target == target:
			_waiting.erase(id)


func forget_all() -> void:
	_waiting.clear()


func poll() -> bool:
	# Send what waits, hand out what came; whether anything came.
	_connection.poll()
	if _connection.state != Zmtp.READY:
		return false
	_send_new()
	var came := false
	var frames = _connection.receive()
	while frames != null:
		came = true
		_answer(_codec.unpack(frames[-1]))
		frames = _connection.receive()
	_send_new()
	if _is_overdue():
		_connection.close("no answer")
	return came


func _send_new() -> void:
	for request in _waiting.values():
		if request.due_ms == 0:
			request.due_ms = OS.get_ticks_msec() + ANSWER_MS
			_connection.send([PoolByteArray(), request.bytes])


func _answer(reply) -> void:
	if typeof(reply) != TYPE_DICTIONARY or not _waiting.has(reply.get("id")):
		return  # a double, or nothing of ours
	var request: Dictionary = _waiting[reply.id]
	_waiting.erase(reply.id)
	request.target.call(request.method, reply, request.tag)


func _is_overdue() -> bool:
	var now_ms := OS.get_ticks_msec()
	for request in _waiting.values():
		if request.due_ms > 0 and now_ms > request.due_ms:
			return true
	return false
