// Command httpreader says how net/http reads byte streams: the parser of kube-apiserver and of kubectl.
//
// Standard input is a sequence of streams: one byte, 'q' for what a server reads or 'a' for what a client reads; two
// bytes, the length of a list of methods joined by "," (which an 'a' answers, in order; empty for a 'q'); the list;
// four bytes, the length of the stream; the stream. Numbers are big-endian. Each stream gives one line of JSON.
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"slices"
	"sort"
	"strings"
)

// message is one complete request, or one complete answer with its interim answers counted.
type message struct {
	Method           string      `json:"method,omitempty"`
	URI              string      `json:"uri,omitempty"`
	Host             string      `json:"host,omitempty"`
	Status           int         `json:"status,omitempty"`
	Interim          int         `json:"interim,omitempty"`
	UntilClose       bool        `json:"until_close,omitempty"`
	Header           [][2]string `json:"header"`
	ContentLength    int64       `json:"content_length"`
	TransferEncoding []string    `json:"transfer_encoding"`
	BodyLen          int         `json:"body_len"`
	BodySHA256       string      `json:"body_sha256"`
	Trailer          []string    `json:"trailer"`
}

// reading is all that was found in a stream. Left counts the bytes behind the last complete message.
type reading struct {
	Messages []message `json:"messages"`
	Left     int       `json:"left"`
	Error    string    `json:"error"`
}

// Only the proxy may say what is under these names, and under names that begin so.
var (
	ourNames      = []string{"Authorization", "Proxy-Authorization", "Forwarded", "X-Real-Ip", "Audit-Id"}
	ourBeginnings = []string{"impersonate", "x-remote-", "x-forwarded-"}
)

// bearerProtocol is how kube-apiserver takes a token out of Sec-WebSocket-Protocol.
const bearerProtocol = "base64url.bearer.authorization.k8s.io."

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	lines := json.NewEncoder(out)
	for {
		kind, err := in.ReadByte()
		if err == io.EOF {
			break
		}
		methods := taken(in, 2)
		stream := taken(in, 4)
		var found reading
		if kind == 'a' {
			found = answers(stream, strings.Split(string(methods), ","))
		} else {
			found = requests(stream)
		}
		if err := lines.Encode(found); err != nil {
			log.Fatal(err)
		}
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}

// taken reads a length of so many bytes, and what it announces.
func taken(in io.Reader, size int) []byte {
	length := make([]byte, 4)
	if _, err := io.ReadFull(in, length[4-size:]); err != nil {
		log.Fatal(err)
	}
	data := make([]byte, binary.BigEndian.Uint32(length))
	if _, err := io.ReadFull(in, data); err != nil {
		log.Fatal(err)
	}
	return data
}

func requests(stream []byte) reading {
	source := bytes.NewReader(stream)
	buffered := bufio.NewReader(source)
	found := reading{Messages: []message{}}
	for {
		found.Left = source.Len() + buffered.Buffered()
		if last := len(found.Messages) - 1; last >= 0 && found.Messages[last].Method == http.MethodPost {
			skipEmptyLine(buffered)
		}
		request, err := http.ReadRequest(buffered)
		if err == io.EOF {
			return found
		}
		if err != nil {
			found.Error = err.Error()
			return found
		}
		body, err := io.ReadAll(request.Body)
		if err != nil {
			found.Error = err.Error()
			return found
		}
		digest := sha256.Sum256(body)
		found.Messages = append(found.Messages, message{
			Method:           request.Method,
			URI:              request.RequestURI,
			Host:             request.Host,
			Header:           picked(request.Header),
			ContentLength:    request.ContentLength,
			TransferEncoding: request.TransferEncoding,
			BodyLen:          len(body),
			BodySHA256:       hex.EncodeToString(digest[:]),
			Trailer:          names(request.Trailer),
		})
	}
}

// skipEmptyLine does as net/http's server behind a POST.
func skipEmptyLine(buffered *bufio.Reader) {
	ahead, _ := buffered.Peek(4)
	count := len(ahead) - len(bytes.TrimLeft(ahead, "\r\n"))
	if _, err := buffered.Discard(count); err != nil {
		log.Fatal(err)
	}
}

func answers(stream []byte, methods []string) reading {
	source := bytes.NewReader(stream)
	buffered := bufio.NewReader(source)
	found := reading{Messages: []message{}}
	for interim := 0; ; {
		if interim == 0 {
			found.Left = source.Len() + buffered.Buffered()
		}
		if len(found.Messages) == len(methods) || source.Len()+buffered.Buffered() == 0 && interim == 0 {
			return found
		}
		request := &http.Request{Method: methods[len(found.Messages)]}
		response, err := http.ReadResponse(buffered, request)
		if err != nil {
			found.Error = err.Error()
			return found
		}
		if response.StatusCode < 200 && response.StatusCode != http.StatusSwitchingProtocols {
			interim++
			continue
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			found.Error = err.Error()
			return found
		}
		digest := sha256.Sum256(body)
		bodiless := request.Method == http.MethodHead || response.Body == http.NoBody
		found.Messages = append(found.Messages, message{
			Status:           response.StatusCode,
			Interim:          interim,
			UntilClose:       !bodiless && response.ContentLength < 0 && len(response.TransferEncoding) == 0,
			Header:           picked(response.Header),
			ContentLength:    response.ContentLength,
			TransferEncoding: response.TransferEncoding,
			BodyLen:          len(body),
			BodySHA256:       hex.EncodeToString(digest[:]),
			Trailer:          names(response.Trailer),
		})
		interim = 0
	}
}

// picked are the fields under names of ours, by name, those of one name in their order.
func picked(header http.Header) [][2]string {
	fields := [][2]string{}
	for _, name := range names(header) {
		for _, value := range header[name] {
			if isOurs(name) || strings.Contains(value, bearerProtocol) && name == "Sec-Websocket-Protocol" {
				fields = append(fields, [2]string{name, value})
			}
		}
	}
	return fields
}

func isOurs(name string) bool {
	for _, beginning := range ourBeginnings {
		if strings.HasPrefix(strings.ToLower(name), beginning) {
			return true
		}
	}
	return slices.Contains(ourNames, http.CanonicalHeaderKey(name))
}

// names are those that have a value: a trailer may be announced and not come.
func names(header http.Header) []string {
	sorted := make([]string, 0, len(header))
	for name, values := range header {
		if len(values) > 0 {
			sorted = append(sorted, name)
		}
	}
	sort.Strings(sorted)
	return sorted
}
