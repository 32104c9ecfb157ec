extends Reference
# Values to msgpack bytes and back.
#
# nil, bool, int, float, String, PoolByteArray (bin), Array and Dictionary, as the wire of Stoker has them. Extension
# types are refused. An unsigned integer beyond 2^63-1, which GDScript has no type for, becomes a float.
# Source: the msgpack specification.

const MAX_DEPTH = 64
const _SLACK = 64
# A key and a value that are read without a call have no more.

var error := ""
# Why the last `unpack` failed; empty if it did not.

var _in := StreamPeerBuffer.new()
var _size := 0
var _pad := PoolByteArray()
# Zeros, to be put behind what is read.


func _init() -> void:
	for _i in _SLACK:
		_pad.append(0)


static func pack(value) -> PoolByteArray:
	var out := StreamPeerBuffer.new()
	out.big_endian = true
	_put(out, value)
	return out.data_array


func unpack(bytes: PoolByteArray):
	# The value that is all of these bytes; null, with `error` set, if they are not one value.
	_begin(bytes)
	var value = _take(0)
	if error == "" and _in.get_position() < _size:
		error = "%d bytes follow the value" % (_size - _in.get_position())
	return value if error == "" and not _is_cut() else null


func peek(bytes: PoolByteArray, names: Array) -> Dictionary:
	# The entries of a map up to the last of these names; all of them if one is not there, none if it is no map. What
	# follows is not looked at, which makes this cheap where the interesting entries come first.
	_begin(bytes)
	var head := _in.get_u8()
	var found := {}
	var count := head & 15 if head >= 0x80 and head < 0x90 else 0
	for _i in count:
		var key = _take(1)
		found[key] = _take(1)
		if error != "" or _is_cut() or found.has_all(names):
			break
	return found if error == "" else {}


func _begin(bytes: PoolByteArray) -> void:
	# With room behind the end, so that small things can be read without asking each time whether they are all there.
	error = ""
	_size = bytes.size()
	bytes.append_array(_pad)
	_in.big_endian = true
	_in.data_array = bytes
	_in.seek(0)


static func _put(out: StreamPeerBuffer, value) -> void:
	match typeof(value):
		TYPE_NIL:
			out.put_u8(0xc0)
		TYPE_BOOL:
			out.put_u8(0xc3 if value else 0xc2)
		TYPE_INT:
			_put_int(out, value)
		TYPE_REAL:
			out.put_u8(0xcb)
			out.put_double(value)
		TYPE_STRING:
			var text: PoolByteArray = value.to_utf8()
			_put_head(out, text.size(), 0xa0, 32, [0xd9, 0xda, 0xdb])
			out.put_data(text)
		TYPE_RAW_ARRAY:
			_put_head(out, value.size(), 0, 0, [0xc4, 0xc5, 0xc6])
			out.put_data(value)
		TYPE_ARRAY, TYPE_STRING_ARRAY, TYPE_INT_ARRAY, TYPE_REAL_ARRAY:
			_put_head(out, value.size(), 0x90, 16, [0, 0xdc, 0xdd])
			for part in value:
				_put(out, part)
		TYPE_DICTIONARY:
			_put_head(out, value.size(), 0x80, 16, [0, 0xde, 0xdf])
			for key in value:
				_put(out, key)
				_put(out, value[key])
		_:
			push_error("stoker: msgpack has no type for %s" % str(value))
			out.put_u8(0xc0)


static func _put_int(out: StreamPeerBuffer, value: int) -> void:
	if value >= -32 and value < 128:
		out.put_8(value)
	elif value >= 0:
		if value < 1 << 8:
			out.put_u8(0xcc)
			out.put_u8(value)
		elif value < 1 << 16:
			out.put_u8(0xcd)
			out.put_u16(value)
		elif value < 1 << 32:
			out.put_u8(0xce)
			out.put_u32(value)
		else:
			out.put_u8(0xcf)
			out.put_u64(value)
	elif value >= -(1 << 7):
		out.put_u8(0xd0)
		out.put_8(value)
	elif value >= -(1 << 15):
		out.put_u8(0xd1)
		out.put_16(value)
	elif value >= -(1 << 31):
		out.put_u8(0xd2)
		out.put_32(value)
	else:
		out.put_u8(0xd3)
		out.put_64(value)


static func _put_head(out: StreamPeerBuffer, size: int, fix: int, fix_limit: int, codes: Array) -> void:
	# The shortest head for so many bytes or parts: in one byte, or with a length of 8 (code 0: none), 16 or 32 bits.
	if size < fix_limit:
		out.put_u8(fix | size)
	elif size < 1 << 8 and codes[0] != 0:
		out.put_u8(codes[0])
		out.put_u8(size)
	elif size < 1 << 16:
		out.put_u8(codes[1])
		out.put_u16(size)
	else:
		out.put_u8(codes[2])
		out.put_u32(size)


func _take(depth: int):
	return _take_after(_in.get_u8(), depth)


func _take_after(head: int, depth: int):
	# The value that begins with this byte. The most frequent kinds come first: a busy client spends its time here.
	if head < 0x80:
		return head
	if head >= 0xa0 and head < 0xc0:
		return _in.get_utf8_string(head & 31) if head > 0xa0 else ""
	if head >= 0xe0:
		return head - 256
	if head == 0xc0:
		return null
	if head < 0x90:
		return _take_map(head & 15, depth)
	if head < 0xa0:
		return _take_array(head & 15, depth)
	return _take_long(head, depth)


func _take_long(head: int, depth: int):
	if head == 0xc2:
		return false
	if head == 0xc3:
		return true
	if head == 0xc1 or (head >= 0xc7 and head <= 0xc9) or (head >= 0xd4 and head <= 0xd8):
		return _fail("the byte 0x%02x begins nothing that is used here" % head)
	if _size - _in.get_position() < _WIDTHS[head]:
		return _fail("the bytes end within a value")
	match head:
		0xcc: return _in.get_u8()
		0xcd: return _in.get_u16()
		0xce: return _in.get_u32()
		0xcf: return _take_u64()
		0xd0: return _in.get_8()
		0xd1: return _in.get_16()
		0xd2: return _in.get_32()
		0xd3: return _in.get_64()
		0xca: return _in.get_float()
		0xcb: return _in.get_double()
		0xd9: return _take_text(_in.get_u8())
		0xda: return _take_text(_in.get_u16())
		0xdb: return _take_text(_in.get_u32())
		0xc4: return _take_bytes(_in.get_u8())
		0xc5: return _take_bytes(_in.get_u16())
		0xc6: return _take_bytes(_in.get_u32())
		0xdc: return _take_array(_in.get_u16(), depth)
		0xdd: return _take_array(_in.get_u32(), depth)
		0xde: return _take_map(_in.get_u16(), depth)
		_: return _take_map(_in.get_u32(), depth)


const _WIDTHS = {
	0xc4: 1, 0xc5: 2, 0xc6: 4, 0xca: 4, 0xcb: 8, 0xcc: 1, 0xcd: 2, 0xce: 4, 0xcf: 8, 0xd0: 1, 0xd1: 2, 0xd2: 4,
	0xd3: 8, 0xd9: 1, 0xda: 2, 0xdb: 4, 0xdc: 2, 0xdd: 4, 0xde: 2, 0xdf: 4,
}
# How many bytes of number or length follow each head.


func _take_u64():
	var value := _in.get_u64()
	return value if value >= 0 else float(value) + 18446744073709551616.0


func _take_text(size: int):
	if size > _size - _in.get_position():
		return _fail("the bytes end within a value")
	return _in.get_utf8_string(size) if size > 0 else ""


func _take_bytes(size: int):
	if size > _size - _in.get_position():
		return _fail("the bytes end within a value")
	return _in.get_data(size)[1] if size > 0 else PoolByteArray()


func _take_array(count: int, depth: int):
	if _is_too_much(count, depth):
		return null
	var parts := []
	for _i in count:
		parts.append(_take_after(_in.get_u8(), depth + 1))
		if error != "" or _is_cut():
			return null
	return parts


func _take_map(count: int, depth: int):
	# Most keys are short texts, and most values small numbers, short texts or nil: those are read without a call.
	if _is_too_much(2 * count, depth):
		return null
	var parts := {}
	for _i in count:
		var head := _in.get_u8()
		var key = _in.get_utf8_string(head & 31) if head > 0xa0 and head < 0xc0 else _take_after(head, depth + 1)
		head = _in.get_u8()
		if head < 0x80:
			parts[key] = head
		elif head > 0xa0 and head < 0xc0:
			parts[key] = _in.get_utf8_string(head & 31)
		elif head == 0xc0:
			parts[key] = null
		else:
			parts[key] = _take_after(head, depth + 1)
		if _in.get_position() > _size or error != "":
			_is_cut()
			return null
	return parts


func _is_cut() -> bool:
	# Whether more was read than there is.
	if _in.get_position() > _size:
		_fail("the bytes end within a value")
	return error != ""


func _is_too_much(values: int, depth: int) -> bool:
	# Each value has a byte at least, so a head can't promise more than there is.
	if values > _size - _in.get_position():
		_fail("the bytes end within a value")
	elif depth >= MAX_DEPTH:
		_fail("nested too deeply")
	return error != ""


func _fail(why: String):
	if error == "":
		error = why
	return null
