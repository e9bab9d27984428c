// Package thumbnail checks an uploaded picture and makes a thumbnail of it.
//
// What it promises:
//
//   - The format is what the bytes say: JPEG, PNG, GIF (its first frame) or WebP
//     (not animated). Names and declared types do not matter.
//   - Bytes, pixels, shape and the memory that decoding will take are checked
//     before anything is decoded.
//   - The result is drawn anew: at most 512 by 512, upright as its Exif orientation
//     says, and without metadata or anything else of the upload but its colours.
//   - The same upload gives the same bytes.
//   - Memory and processor are bounded over all uploads; beyond that it is ErrBusy.
package thumbnail
