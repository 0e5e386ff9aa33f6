package http1

// AppendChunkHeader appends the line before size bytes of data. size must be above 0: a chunk of 0 would end the body.
// After the data comes CRLF.
func AppendChunkHeader(dst []byte, size int) []byte {
	const digits = "0123456789abcdef"
	var b [16]byte
	i := len(b)
	for {
		i--
		b[i] = digits[size&0x0f]
		if size >>= 4; size == 0 {
			break
		}
	}
	return append(append(dst, b[i:]...), "\r\n"...)
}

// AppendChunk appends a whole chunk; nothing for no data.
func AppendChunk(dst, data []byte) []byte {
	if len(data) == 0 {
		return dst
	}
	dst = AppendChunkHeader(dst, len(data))
	dst = append(dst, data...)
	return append(dst, "\r\n"...)
}

// AppendLastChunk appends the end of a chunked body with those of the trailers that keep allows; nil keeps all.
func AppendLastChunk(dst []byte, trailers []Field, keep func(*Field) bool) []byte {
	dst = append(dst, "0\r\n"...)
	for i := range trailers {
		if f := &trailers[i]; keep == nil || keep(f) {
			dst = AppendField(dst, f.Name, f.Value)
		}
	}
	return append(dst, "\r\n"...)
}
