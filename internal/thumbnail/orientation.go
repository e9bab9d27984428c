package thumbnail

import (
	"encoding/binary"
	"image"
)

// tagOrientation is the only tag that is read (Exif 2.32, section 4.6.4).
const tagOrientation = 0x0112

// orientationOf reads the orientation, 1 to 8, from an Exif block, which is a TIFF
// file; 1, upright, when there is none or it makes no sense.
func orientationOf(exif []byte) int {
	if len(exif) < 8 {
		return 1
	}
	var order binary.ByteOrder
	switch string(exif[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return 1
	}
	directory := uint64(order.Uint32(exif[4:]))
	if directory+2 > uint64(len(exif)) {
		return 1
	}
	entries := exif[directory+2:]
	for range order.Uint16(exif[directory:]) {
		const size, typeShort = 12, 3
		if len(entries) < size {
			return 1
		}
		if order.Uint16(entries) == tagOrientation && order.Uint16(entries[2:]) == typeShort {
			return validOrientation(int(order.Uint16(entries[8:])))
		}
		entries = entries[size:]
	}
	return 1
}

func validOrientation(value int) int {
	if value < 1 || value > 8 {
		return 1
	}
	return value
}

// orient turns and mirrors a picture so that it is upright.
func orient(stored *image.RGBA, orientation int) *image.RGBA {
	if orientation == 1 {
		return stored
	}
	w, h := stored.Bounds().Dx(), stored.Bounds().Dy()
	size := image.Rect(0, 0, w, h)
	if orientation >= 5 {
		size = image.Rect(0, 0, h, w)
	}
	upright := image.NewRGBA(size)
	for y := range h {
		for x := range w {
			toX, toY := place(x, y, w, h, orientation)
			from, to := stored.PixOffset(x, y), upright.PixOffset(toX, toY)
			copy(upright.Pix[to:to+4], stored.Pix[from:from+4])
		}
	}
	return upright
}

// place tells where a stored pixel is shown.
func place(x, y, w, h, orientation int) (int, int) {
	switch orientation {
	case 2: // mirrored
		return w - 1 - x, y
	case 3: // upside down
		return w - 1 - x, h - 1 - y
	case 4: // mirrored and upside down
		return x, h - 1 - y
	case 5: // mirrored at the diagonal
		return y, x
	case 6: // to be turned clockwise
		return h - 1 - y, x
	case 7: // mirrored at the other diagonal
		return h - 1 - y, w - 1 - x
	default: // 8: to be turned counter-clockwise
		return y, w - 1 - x
	}
}
