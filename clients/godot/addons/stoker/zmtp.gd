extends Reference
# One connection to a ZeroMQ socket: ZMTP 3.0 with the NULL mechanism, over TCP.
#
# Nothing here waits: call `poll` often. What comes in is bounded: a frame that is larger than MAX_FRAME ends the
# connection, and what nobody takes by `receive` stays with the peer.
# Source: ZMTP 3.0 (rfc.zeromq.org/spec/23); the daemon's libzmq takes a subscription as a message that begins with 1.

enum { CLOSED, CONNECTING, GREETING, HANDSHAKE, READY }

const MAX_FRAME = 9 << 20
const CONNECT_MS = 5000
# How long the way to READY may take.
const _READ_AHEAD = 1 << 18
# Bytes that are read before what is there has been taken.

var state: int = CLOSED
var why_closed := ""

var _peer: StreamPeerTCP
var _kind := ""
var _deadline_ms := 0
var _in := PoolByteArray()
var _at := 0
var _out := PoolByteArray()
var _parts := []
# The frames so far of a message whose last one has not come.
var _parts_size := 0


func open(host: String, port: int, kind: String) -> void:
	# Connect as a socket of that kind: "DEALER", "REQ" or "SUB".
	close()
	_peer = StreamPeerTCP.new()
	_kind = kind
	_in = PoolByteArray()
	_at = 0
	_out = PoolByteArray()
	_parts = []
	_parts_size = 0
	why_closed = ""
	_deadline_ms = OS.get_ticks_msec() + CONNECT_MS
	state = CONNECTING
	if _peer.connect_to_host(host, port) != OK:
		close("%s:%d can't be reached" % [host, port])


func close(why := "") -> void:
	if _peer != null:
		_peer.disconnect_from_host()
		_peer = null
	if state != CLOSED:
		why_closed = why
	state = CLOSED


func send(frames: Array) -> void:
	# Send one message; frames are PoolByteArrays.
	for index in frames.size():
		_put_frame(1 if index + 1 < frames.size() else 0, frames[index])
	_flush()


func subscribe(topic: String) -> void:
	var frame := PoolByteArray([1])
	frame.append_array(topic.to_utf8())
	send([frame])


func poll() -> void:
	# Take what has come and send what waits.
	if state == CLOSED:
		return
	var status := _peer.get_status()
	if status == StreamPeerTCP.STATUS_CONNECTING:
		if OS.get_ticks_msec() > _deadline_ms:
			close("no answer")
		return
	if status != StreamPeerTCP.STATUS_CONNECTED:
		close("no connection" if state == CONNECTING else "the connection ended")
		return
	if state == CONNECTING:
		_peer.set_no_delay(true)
		_greet()
	_read()
	if state == GREETING:
		_take_greeting()
	if state == HANDSHAKE:
		_take_ready()
	if state != READY and state != CLOSED and OS.get_ticks_msec() > _deadline_ms:
		close("no handshake")
	_flush()


func receive():
	# The frames of the next message that is whole, or null.
	while state == READY:
		var frame = _take_frame()
		if frame == null:
			return null
		if frame[0] & 4:
			_obey(frame[1])
			continue
		_parts.append(frame[1])
		_parts_size += frame[1].size() + 64
		if _parts_size > MAX_FRAME:
			close("a message of too many frames")
		elif not frame[0] & 1:
			var message := _parts
			_parts = []
			_parts_size = 0
			return message
	return null


func _greet() -> void:
	state = GREETING
	var greeting := PoolByteArray([0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0])
	greeting.append_array("NULL".to_ascii())
	while greeting.size() < 64:
		greeting.append(0)
	_out.append_array(greeting)


func _take_greeting() -> void:
	if _in.size() - _at < 64:
		return
	if _in[_at] != 0xff or _in[_at + 9] != 0x7f or _in[_at + 10] < 3:
		close("that is no ZeroMQ socket of version 4 or later")
		return
	var mechanism := _in.subarray(_at + 12, _at + 31).get_string_from_ascii()
	if mechanism != "NULL":
		close("it wants %s, which this client can't; use a tunnel or a relay" % mechanism)
		return
	_at += 64
	state = HANDSHAKE
	var ready := PoolByteArray([5])
	ready.append_array("READY".to_ascii())
	ready.append_array(_property("Socket-Type", _kind))
	_put_frame(4, ready)


func _take_ready() -> void:
	var frame = _take_frame()
	if frame == null:
		return
	if frame[0] & 4 and _command_of(frame[1]) == "READY":
		state = READY
	else:
		close("refused by the other side")


func _obey(command: PoolByteArray) -> void:
	# A ping carries two bytes of time to live and a context, which its answer brings back.
	match _command_of(command):
		"PING":
			var pong := PoolByteArray([4])
			pong.append_array("PONG".to_ascii())
			if command.size() > 7:
				pong.append_array(command.subarray(7, command.size() - 1))
			_put_frame(4, pong)
		"ERROR":
			close("refused by the other side")


static func _command_of(frame: PoolByteArray) -> String:
	var size: int = frame[0] if frame.size() > 0 else 0
	return frame.subarray(1, size).get_string_from_ascii() if size > 0 and size < frame.size() else ""


static func _property(name: String, value: String) -> PoolByteArray:
	var bytes := PoolByteArray([name.length()])
	bytes.append_array(name.to_ascii())
	bytes.append_array(PoolByteArray([0, 0, 0, value.length()]))
	bytes.append_array(value.to_ascii())
	return bytes


func _put_frame(flags: int, body: PoolByteArray) -> void:
	var size := body.size()
	if size < 256:
		_out.append(flags)
		_out.append(size)
	else:
		_out.append(flags | 2)
		for shift in [56, 48, 40, 32, 24, 16, 8, 0]:
			_out.append(size >> shift & 255)
	_out.append_array(body)


func _take_frame():
	# The flags and the body of the next frame, or null.
	var left := _in.size() - _at
	if left < 2:
		return null
	var flags := _in[_at]
	var size := _in[_at + 1]
	var head := 2
	if flags & 2:
		if left < 9:
			return null
		head = 9
		size = 0
		for place in range(_at + 1, _at + 9):
			size = size << 8 | _in[place]
	if size > MAX_FRAME or size < 0:
		close("a frame of %d bytes" % size)
		return null
	if left < head + size:
		return null
	var start := _at + head
	_at = start + size
	return [flags, _in.subarray(start, _at - 1) if size > 0 else PoolByteArray()]


func _read() -> void:
	# Read while there is room; what was taken is dropped once per poll, since each time copies the rest.
	if _at > 0:
		_in = _in.subarray(_at, _in.size() - 1) if _at < _in.size() else PoolByteArray()
		_at = 0
	while state != CLOSED and _in.size() < _limit():
		var available := _peer.get_available_bytes()
		if available <= 0:
			return
		var got := _peer.get_partial_data(int(min(available, _READ_AHEAD)))
		if got[0] != OK:
			close("the connection ended")
			return
		_in.append_array(got[1])


func _limit() -> int:
	# Room for what comes usually, and for the whole frame that has begun.
	var size := 0
	if state == READY and _in.size() >= 9 and _in[0] & 2:
		for place in range(1, 9):
			size = size << 8 | _in[place]
	return _READ_AHEAD + int(clamp(size, 0, MAX_FRAME))


func _flush() -> void:
	if _peer == null or _out.size() == 0 or _peer.get_status() != StreamPeerTCP.STATUS_CONNECTED:
		return
	var sent := _peer.put_partial_data(_out)
	if sent[0] != OK:
		close("the connection ended")
	elif sent[1] >= _out.size():
		_out = PoolByteArray()
	else:
		_out = _out.subarray(sent[1], _out.size() - 1)
