package thumbnail

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"

	"golang.org/x/image/draw"
)

const jpegQuality = 85

// fit returns the greatest size of the same shape within MaxSide, and never a
// greater one than given.
func fit(w, h int) (int, int) {
	longer := max(w, h)
	if longer <= MaxSide {
		return w, h
	}
	return max(1, (w*MaxSide+longer/2)/longer), max(1, (h*MaxSide+longer/2)/longer)
}

// reduce draws a picture at its final size. The exact filter is slow on millions of
// pixels, so a quick one goes before it: at once to four times the size, then by
// halves.
func reduce(picture image.Image) *image.RGBA {
	bounds := picture.Bounds()
	w, h := fit(bounds.Dx(), bounds.Dy())
	if bounds.Dx() > 4*w {
		picture = scale(draw.ApproxBiLinear, picture, 4*w, 4*h)
	}
	for picture.Bounds().Dx() >= 3*w {
		half := picture.Bounds()
		picture = scale(draw.ApproxBiLinear, picture, (half.Dx()+1)/2, (half.Dy()+1)/2)
	}
	return scale(draw.CatmullRom, picture, w, h)
}

func scale(with draw.Interpolator, picture image.Image, w, h int) *image.RGBA {
	drawn := image.NewRGBA(image.Rect(0, 0, w, h))
	if picture.Bounds().Dx() == w && picture.Bounds().Dy() == h {
		draw.Copy(drawn, image.Point{}, picture, picture.Bounds(), draw.Src, nil)
		return drawn
	}
	with.Scale(drawn, drawn.Bounds(), picture, picture.Bounds(), draw.Src, nil)
	return drawn
}

// encode keeps transparency only where there is any.
func encode(picture *image.RGBA) (Thumbnail, error) {
	made := Thumbnail{ContentType: "image/jpeg", Width: picture.Bounds().Dx(), Height: picture.Bounds().Dy()}
	var content bytes.Buffer
	var err error
	if picture.Opaque() {
		err = jpeg.Encode(&content, picture, &jpeg.Options{Quality: jpegQuality})
	} else {
		made.ContentType = "image/png"
		err = png.Encode(&content, picture)
	}
	if err != nil {
		return Thumbnail{}, fmt.Errorf("encode a thumbnail: %w", err)
	}
	made.Content = content.Bytes()
	return made, nil
}
