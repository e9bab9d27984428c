package thumbnail

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"testing"
)

// quarters has a colour in each corner: red, green above blue, white.
func quarters(w, h int) *image.NRGBA {
	picture := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := [2][2]color.NRGBA{{red, green}, {blue, {255, 255, 255, 255}}}[2*y/h][2*x/w]
			picture.SetNRGBA(x, y, c)
		}
	}
	return picture
}

// Where the stored top left and top right corner are shown: Exif 2.32, section
// 4.6.4, "the 0th row is at the visual … side".
var shown = map[uint16]struct{ topLeft, topRight string }{
	1: {"top left", "top right"}, 2: {"top right", "top left"}, 3: {"bottom right", "bottom left"}, 4: {"bottom left", "bottom right"},
	5: {"top left", "bottom left"}, 6: {"top right", "bottom right"}, 7: {"bottom right", "top right"}, 8: {"bottom left", "top left"},
}

func TestOrientation(t *testing.T) {
	stored := quarters(160, 80)
	for orientation, want := range shown {
		for _, order := range []binary.AppendByteOrder{binary.BigEndian, binary.LittleEndian} {
			block := exifBlock(order, orientation, "maker")
			pngFile := asPNG(t, stored)
			pngFile = bytes.Join([][]byte{pngFile[:33], pngChunk("eXIf", block), pngFile[33:]}, nil)
			for format, upload := range map[string][]byte{"JPEG": withExif(asJPEG(t, stored), block), "PNG": pngFile} {
				made, picture := mustProcess(t, upload)
				if wide := made.Width > made.Height; wide != (orientation < 5) {
					t.Errorf("%s %d: %dx%d", format, orientation, made.Width, made.Height)
				}
				if !near(corner(picture, want.topLeft), red) || !near(corner(picture, want.topRight), green) {
					t.Errorf("%s %d: red is not at the %s or green not at the %s", format, orientation, want.topLeft, want.topRight)
				}
			}
		}
	}
}

func corner(picture image.Image, name string) color.Color {
	w, h := picture.Bounds().Dx(), picture.Bounds().Dy()
	at := map[string]image.Point{
		"top left": {8, 8}, "top right": {w - 8, 8}, "bottom left": {8, h - 8}, "bottom right": {w - 8, h - 8},
	}[name]
	return picture.At(at.X, at.Y)
}

func TestWebPExif(t *testing.T) {
	block := exifBlock(binary.LittleEndian, 6, "maker")
	for _, prefix := range []string{"", exifPrefix} {
		payload := append([]byte(prefix), block...)
		chunk := append([]byte("EXIF"), binary.LittleEndian.AppendUint32(nil, uint32(len(payload)))...)
		found, err := inspect(append(bytes.Clone(webpFiles["alpha"]), append(chunk, payload...)...))
		must(t, err)
		if found.orientation != 6 {
			t.Errorf("with prefix %q: %d", prefix, found.orientation)
		}
	}
}

func TestNonsenseIsUpright(t *testing.T) {
	good := exifBlock(binary.BigEndian, 6, "maker")
	for name, block := range map[string][]byte{
		"none": nil, "short": good[:9], "no TIFF": []byte("XX\x00*aaaaaaaaaaaa"), "cut in an entry": good[:30],
		"directory beyond": append([]byte("MM\x00*\xff\xff\xff\xff"), good[8:]...), "zero": exifBlock(binary.BigEndian, 0, ""),
		"nine": exifBlock(binary.BigEndian, 9, ""), "great": exifBlock(binary.BigEndian, 0x0600, ""),
	} {
		if got := orientationOf(block); got != 1 {
			t.Errorf("%s: %d", name, got)
		}
	}
	if got := orientationOf(good); got != 6 {
		t.Errorf("the good one: %d", got)
	}
}
