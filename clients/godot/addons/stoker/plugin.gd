tool
extends EditorPlugin
# The plugin: puts the dock into the editor, runs the link on its thread, and in each frame passes on what is new.

const Board = preload("board.gd")
const Dock = preload("dock.gd")
const Importer = preload("importer.gd")
const Link = preload("link.gd")

const BUDGET_USEC = 1200
# Of a frame; each part does one small thing at least, so that none starves.
const SETTING = "stoker/endpoint"
const VARIABLE = "STOKER_ENDPOINT"
const USUAL = "tcp://127.0.0.1:5577"
const ORDERS = "res://.stoker/orders.cfg"

var board := Board.new()
var dock: Dock
var importer: Importer
var frame_usec := 0
# What the last frame took here.

var _link := Link.new()


func _enter_tree() -> void:
	dock = Dock.new()
	dock.endpoint.text = _endpoint()
	dock.connect("dialled", self, "_on_dialled")
	dock.connect("cancelled", _link, "cancel")
	dock.connect("previews_wanted", _link, "want_previews")
	dock.form.connect("ordered", self, "_on_ordered")
	add_control_to_dock(DOCK_SLOT_RIGHT_BL, dock)
	importer = Importer.new()
	importer.setup(get_editor_interface().get_resource_filesystem())
	importer.connect("imported", self, "_on_imported")
	importer.connect("failed", self, "_on_import_failed")
	add_child(importer)
	_keep_out_of_version_control()
	_link.start(_endpoint(), ORDERS)


func _exit_tree() -> void:
	_link.stop()
	remove_control_from_docks(dock)
	dock.free()
	importer.queue_free()


func _process(_delta: float) -> void:
	var began_usec := OS.get_ticks_usec()
	if board.is_idle():
		_take(_link.news.take())
	board.work(began_usec + BUDGET_USEC)
	dock.refresh(board, began_usec + BUDGET_USEC)
	importer.work()
	frame_usec = OS.get_ticks_usec() - began_usec


func _take(news: Dictionary) -> void:
	board.take(news)
	if news.is_cut or board.needs_snapshot():
		_link.resync()
	if news.facts != null:
		dock.form.offer(news.facts)
	for text in news.said:
		dock.say(text)
	for fetched in news.fetched:
		importer.import(fetched)


func _on_ordered(order: Dictionary) -> void:
	_link.order(order)
	dock.say("ordered " + order.title)


func _on_imported(job_id: String, path: String) -> void:
	_link.imported(job_id)
	dock.say("imported " + path)


func _on_import_failed(job_id: String, why: String) -> void:
	_link.imported(job_id)
	dock.say("not imported: " + why)


func _on_dialled(endpoint: String) -> void:
	get_editor_interface().get_editor_settings().set_setting(SETTING, endpoint)
	_link.dial(endpoint)


func _endpoint() -> String:
	# The environment's, or what was entered last, or the usual one.
	if OS.get_environment(VARIABLE) != "":
		return OS.get_environment(VARIABLE)
	var settings := get_editor_interface().get_editor_settings()
	return settings.get_setting(SETTING) if settings.has_setting(SETTING) else USUAL


static func _keep_out_of_version_control() -> void:
	var directory := Directory.new()
	directory.make_dir_recursive(ORDERS.get_base_dir())
	var file := File.new()
	var path := ORDERS.get_base_dir().plus_file(".gitignore")
	if not file.file_exists(path) and file.open(path, File.WRITE) == OK:
		file.store_string("*\n")
		file.close()
