package http1

// ProtocolError says that a peer sent something that is not an HTTP/1.1 message as this package accepts it.
type ProtocolError struct {
	// Status is what to answer: 400, 413, 414, 417, 431, 501 or 505 for a request, 502 for the head of a response.
	// An error in a chunked body has 400 in either direction.
	Status int
	// Reason is a fixed sentence without any byte of the message, fit for clients and logs.
	Reason string
}

// Error returns the reason, marked as being about the message and not about the connection.
func (e *ProtocolError) Error() string { return "malformed HTTP message: " + e.Reason }

func badRequest(reason string) *ProtocolError { return &ProtocolError{Status: 400, Reason: reason} }

// asResponse turns an error of the shared parts into the one for a backend's answer.
func asResponse(e *ProtocolError) *ProtocolError {
	return &ProtocolError{Status: 502, Reason: e.Reason}
}
