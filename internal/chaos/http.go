//go:build linux

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

var web = &http.Client{Transport: &http.Transport{
	MaxIdleConnsPerHost: 32, IdleConnTimeout: 30 * time.Second,
	DialContext: (&net.Dialer{Timeout: time.Second}).DialContext,
}}

// answer is what came back.
type answer struct {
	status int
	body   []byte
}

func (n *node) call(ctx context.Context, method, path string, body []byte, mediaType string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, n.url+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if mediaType != "" {
		req.Header.Set("Content-Type", mediaType)
		req.Header.Set("Accept", mediaType)
	}
	resp, err := web.Do(req)
	if err != nil {
		return answer{}, err
	}
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, text}, errors.Join(err, resp.Body.Close())
}

// get decodes what stands at a path.
func (n *node) get(ctx context.Context, path string, v any) error {
	a, err := n.call(ctx, "GET", path, nil, "")
	if err != nil {
		return err
	}
	if a.status != 200 {
		return fmt.Errorf("GET %s: status %d: %s", path, a.status, a.body)
	}
	return json.Unmarshal(a.body, v)
}

func listenable(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}
