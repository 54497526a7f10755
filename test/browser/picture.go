package browser

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/chromedp/chromedp"
)

// PictureMost bounds a picture of the manual, in bytes.
const PictureMost = 80_000

// Illustrate writes a picture of what the window shows for the manual; without a folder it does nothing. It has 256
// colours, which are nearly all that a page has, and is small.
func (b *Browser) Illustrate(folder, name string) {
	b.t.Helper()
	if folder == "" {
		return
	}
	shot, err := png.Decode(bytes.NewReader(run(b, "a picture", chromedp.CaptureScreenshot())))
	if err != nil {
		b.t.Fatal(err)
	}
	few := image.NewPaletted(shot.Bounds(), commonest(shot))
	draw.Draw(few, few.Bounds(), shot, shot.Bounds().Min, draw.Src)
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, few); err != nil {
		b.t.Fatal(err)
	}
	if out.Len() > PictureMost {
		b.t.Errorf("%s.png has %d bytes, and may have %d", name, out.Len(), PictureMost)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), out.Bytes(), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// commonest returns the colours of which a picture has the most.
func commonest(of image.Image) color.Palette {
	count := map[color.Color]int{}
	for y := of.Bounds().Min.Y; y < of.Bounds().Max.Y; y++ {
		for x := of.Bounds().Min.X; x < of.Bounds().Max.X; x++ {
			count[of.At(x, y)]++
		}
	}
	all := slices.SortedFunc(maps.Keys(count), func(a, b color.Color) int { return cmp.Compare(count[b], count[a]) })
	return all[:min(len(all), 256)]
}
