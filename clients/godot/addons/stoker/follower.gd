extends Reference
# Follows all lifecycle events in order and each once, and says what to do when some are missing.
#
# Source: docs/protocol.md, "Events".

enum { APPLY, SKIP, CATCH_UP, RESYNC }
# CATCH_UP: ask `events_since` with `through`, and hand the page to `catch_up`. RESYNC: take a snapshot, then `restart`.

const QUIET_TICKS = 2

var through := 0
# All events up to this seq are known.

var _instance_id := ""
var _boot := ""
var _quiet_ticks := 0


func restart(seq: int, instance_id: String, boot: String) -> void:
	through = seq
	_instance_id = instance_id
	_boot = boot
	_quiet_ticks = 0


func receive(event: Dictionary) -> int:
	var seq = event.get("seq")
	if seq == null:
		return _judge_head(event) if event.get("type") in ["tick", "synced"] else APPLY
	if seq <= through:
		return SKIP
	if seq > through + 1:
		return CATCH_UP
	through = seq
	_quiet_ticks = 0
	return APPLY


func catch_up(page: Dictionary) -> int:
	# SKIP: that was all. The events of the page that are beyond the `through` before are news.
	if page.gap or page.instance_id != _instance_id:
		return RESYNC
	var has_more: bool = through < page.through and page.through < page.head
	through = int(max(through, page.through))
	_quiet_ticks = 0
	return CATCH_UP if has_more else SKIP


func _judge_head(event: Dictionary) -> int:
	if event.instance_id != _instance_id:
		return RESYNC
	if event.boot != _boot:
		_boot = event.boot
		return CATCH_UP
	if event.head <= through:
		_quiet_ticks = 0
		return SKIP
	_quiet_ticks += 1
	return CATCH_UP if _quiet_ticks >= QUIET_TICKS or event.type == "synced" else SKIP
