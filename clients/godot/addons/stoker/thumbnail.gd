extends Reference
# A small picture from an image file's bytes, made on the thread that received them.

const SIZE = 64
const MOST_PIXELS = 16 << 20


static func of(bytes: PoolByteArray, media_type: String) -> Image:
	# The picture at most SIZE wide and high, or null if the bytes are none that is small enough to open.
	var image := Image.new()
	var opened := FAILED
	if media_type == "image/png":
		if _pixels_of_png(bytes) <= MOST_PIXELS:
			opened = image.load_png_from_buffer(bytes)
	elif media_type == "image/jpeg":
		opened = image.load_jpg_from_buffer(bytes)
	elif media_type == "image/webp":
		opened = image.load_webp_from_buffer(bytes)
	if opened != OK or image.is_empty():
		return null
	var scale := float(SIZE) / max(image.get_width(), image.get_height())
	if scale < 1.0:
		var width := int(max(1, image.get_width() * scale))
		image.resize(width, int(max(1, image.get_height() * scale)), Image.INTERPOLATE_BILINEAR)
	return image


static func _pixels_of_png(bytes: PoolByteArray) -> int:
	# What its header promises; a few bytes could promise a picture that fills the memory.
	if bytes.size() < 24:
		return MOST_PIXELS + 1
	var sides := []
	for start in [16, 20]:
		sides.append(bytes[start] << 24 | bytes[start + 1] << 16 | bytes[start + 2] << 8 | bytes[start + 3])
	return sides[0] * sides[1]
