package httpapi

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

// Scope is what a token permits.
type Scope uint8

// The scopes. Admin includes the other two, Write does not include Read.
const (
	Read  Scope = 1 << iota // reads of names and of the ring's state
	Write                   // changes of names
	Admin                   // everything, backups included
)

// open is the scope of routes that need none.
const open Scope = 0

var scopeNames = map[string]Scope{"read": Read, "write": Write, "admin": Read | Write | Admin}

// String is the scope as in token files.
func (s Scope) String() string {
	switch {
	case s&Admin != 0:
		return "admin"
	case s == Write:
		return "write"
	case s == Read:
		return "read"
	}
	return "none"
}

// Token is one line of a token file.
type Token struct {
	Name   string // who holds it; for logs
	Scopes Scope
	Hash   [sha256.Size]byte
	Expire int64 // Unix seconds from which on it is good no more; 0: never
}

// HashToken is the hash of a token as token files hold it: SHA-256 in
// hexadecimal. Tokens have to be long and random, a password is none.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// maxTokens bounds a token file: every request is compared with all of them.
const maxTokens = 1000

// ParseTokens reads a token file. Each line has three or four words: a name,
// the scopes joined by commas, the hash that HashToken gives, and the time in
// RFC 3339 from which the token is good no more. Empty lines and lines that
// begin with # say nothing.
//
//	biller  read,write  b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9
//
// The error lists everything that is wrong with the file, by line.
func ParseTokens(file []byte) ([]Token, error) {
	var tokens []Token
	var problems []error
	seen := make(map[string]int)
	lines := bufio.NewScanner(bytes.NewReader(file))
	number := 0
	for lines.Scan() {
		number++
		words := strings.Fields(lines.Text())
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		token, err := parseToken(words)
		if before := seen[words[0]]; err == nil && before > 0 {
			err = fmt.Errorf("the name %s stands in line %d already", brief(words[0]), before)
		}
		seen[words[0]] = number
		if err != nil {
			problems = append(problems, fmt.Errorf("line %d: %w", number, err))
			continue
		}
		tokens = append(tokens, token)
	}
	if err := lines.Err(); err != nil {
		problems = append(problems, fmt.Errorf("line %d: %w", number+1, err))
	}
	if len(tokens) > maxTokens {
		problems = append(problems, fmt.Errorf("%d tokens, at most %d are allowed", len(tokens), maxTokens))
	}
	return tokens, errors.Join(problems...)
}

func parseToken(words []string) (Token, error) {
	if len(words) != 3 && len(words) != 4 {
		return Token{}, errors.New("it takes a name, scopes, a hash and perhaps the end of its validity, separated by spaces")
	}
	t := Token{Name: words[0]}
	for scope := range strings.SplitSeq(words[1], ",") {
		s, known := scopeNames[scope]
		if !known {
			return Token{}, fmt.Errorf("%s is none of the scopes read, write, admin", brief(scope))
		}
		t.Scopes |= s
	}
	hash, err := hex.DecodeString(words[2])
	if err != nil || len(hash) != len(t.Hash) {
		return Token{}, fmt.Errorf("the hash has to be %d hexadecimal digits", 2*len(t.Hash))
	}
	copy(t.Hash[:], hash)
	if len(words) == 4 {
		end, err := time.Parse(time.RFC3339, words[3])
		if err != nil || end.Unix() <= 0 {
			return Token{}, fmt.Errorf("%s is no time such as 2027-01-31T00:00:00Z", brief(words[3]))
		}
		t.Expire = end.Unix()
	}
	return t, nil
}

// Reload reads the token file again. On an error the old tokens stay.
func (a *API) Reload() error {
	if a.tokenFile == "" {
		return nil
	}
	file, err := os.ReadFile(a.tokenFile)
	if err != nil {
		return fmt.Errorf("read tokens: %w", err)
	}
	tokens, err := ParseTokens(file)
	if err != nil {
		return fmt.Errorf("%s: %w", a.tokenFile, err)
	}
	a.tokens.Store(&tokens)
	a.log.Info("tokens_loaded", "file", a.tokenFile, "tokens", len(tokens))
	return nil
}

// admit refuses a request that shows no right to the scope.
func (a *API) admit(r *http.Request, needed Scope) *Problem {
	if needed == open || a.tokenFile == "" && !a.trustClientCert {
		return nil
	}
	if a.trustClientCert && r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return nil
	}
	token, err := bearer(r.Header)
	if err != nil {
		return err
	}
	scopes, known, expire := a.scopes(token)
	if !known {
		return problem(Unauthorized, "the token is not known")
	}
	if expire != 0 && time.Now().Unix() >= expire {
		return problem(Unauthorized, "the token has expired")
	}
	if scopes&needed != needed {
		return problem(Forbidden, "this takes the scope %s", needed)
	}
	return nil
}

func bearer(h http.Header) (string, *Problem) {
	header := h["Authorization"]
	if len(header) != 1 {
		return "", problem(Unauthorized, "the header Authorization: Bearer … is missing, or is there twice")
	}
	scheme, token, _ := strings.Cut(header[0], " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", problem(Unauthorized, "the header Authorization has to be: Bearer, a space, the token")
	}
	return token, nil
}

// scopes looks the token up. The time it takes tells neither whether nor where
// it was found.
func (a *API) scopes(token string) (scopes Scope, known bool, expire int64) {
	sum := sha256.Sum256([]byte(token))
	tokens := a.tokens.Load()
	if tokens == nil {
		return 0, false, 0
	}
	found := 0
	for i := range *tokens {
		t := &(*tokens)[i]
		same := subtle.ConstantTimeCompare(sum[:], t.Hash[:])
		found |= same
		scopes |= t.Scopes & -Scope(same)
		expire |= t.Expire & -int64(same)
	}
	return scopes, found == 1, expire
}
