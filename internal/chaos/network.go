//go:build linux

package chaos

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// network connects the nodes, and breaks on demand. Nodes are numbered from 0.
type network struct {
	prefix string // of everything that is made in the kernel
	subnet string // "10.x.y."; empty without namespaces
	why    error  // why there are no namespaces
	hosts  []string

	mu      sync.Mutex
	cuts    map[[2]int]int // from, to: how many faults cut it
	loss    map[int]int    // node: percent of its packets
	mute    map[int]bool   // nodes whose answers do not reach clients
	proxies map[[2]int]*proxy
}

// newNetwork makes n namespaces on a bridge, or notes why that cannot be.
func newNetwork(n int) (*network, error) {
	w := &network{
		prefix: fmt.Sprintf("bc%x", os.Getpid()),
		cuts:   make(map[[2]int]int), loss: make(map[int]int), mute: make(map[int]bool), proxies: make(map[[2]int]*proxy),
	}
	sweep()
	sweepDisks()
	w.subnet = fmt.Sprintf("10.%d.%d.", 200+rand.IntN(50), rand.IntN(256))
	if w.why = w.open(n); w.why != nil {
		w.close() //nolint:errcheck // what was not made cannot be removed
		w.subnet = ""
	}
	for range n {
		if w.subnet == "" {
			w.hosts = append(w.hosts, "127.0.0.1")
		} else {
			w.hosts = append(w.hosts, fmt.Sprint(w.subnet, len(w.hosts)+1))
		}
	}
	return w, nil
}

func (w *network) space(i int) string { return fmt.Sprintf("%sn%d", w.prefix, i) }
func (w *network) port(i int) string  { return fmt.Sprintf("%sv%d", w.prefix, i) }
func (w *network) bridge() string     { return w.prefix + "b" }

func (w *network) open(n int) error {
	if os.Geteuid() != 0 {
		return errors.New("it takes root")
	}
	steps := []string{
		"ip link add " + w.bridge() + " type bridge",
		"ip addr add " + w.subnet + "254/24 dev " + w.bridge(),
		"ip link set " + w.bridge() + " up",
	}
	for i := range n {
		steps = append(steps,
			"ip netns add "+w.space(i),
			"ip link add "+w.port(i)+" type veth peer name eth0 netns "+w.space(i),
			"ip link set "+w.port(i)+" master "+w.bridge()+" up",
			fmt.Sprintf("ip -n %s addr add %s%d/24 dev eth0", w.space(i), w.subnet, i+1),
			"ip -n "+w.space(i)+" link set eth0 up",
			"ip -n "+w.space(i)+" link set lo up",
			"nsenter --net=/run/netns/"+w.space(i)+" true",
		)
	}
	for _, step := range steps {
		if err := command(step); err != nil {
			return err
		}
	}
	return nft(fmt.Sprintf(`add table bridge %[1]s
add chain bridge %[1]s between { type filter hook forward priority 0; }
add chain bridge %[1]s out { type filter hook input priority 0; }
add rule bridge %[1]s between numgen random mod 100 < 0 drop
flush chain bridge %[1]s between
`, w.prefix))
}

// close removes all that open made.
func (w *network) close() error {
	for _, p := range w.proxies {
		p.close()
	}
	if w.subnet == "" {
		return nil
	}
	var errs []error
	if nft("list table bridge "+w.prefix) == nil {
		errs = append(errs, nft("delete table bridge "+w.prefix))
	}
	for i := 0; ; i++ {
		if _, err := os.Stat("/run/netns/" + w.space(i)); err != nil {
			break
		}
		errs = append(errs, command("ip netns del "+w.space(i))) // its veth goes with it
	}
	if _, err := net.InterfaceByName(w.bridge()); err == nil {
		errs = append(errs, command("ip link del "+w.bridge()))
	}
	return errors.Join(errs...)
}

// sweep removes what processes left behind that were killed.
func sweep() {
	devices, _ := filepath.Glob("/sys/class/net/bc*b") // without any there is nothing to do
	for _, device := range devices {
		prefix := strings.TrimSuffix(filepath.Base(device), "b")
		pid, err := strconv.ParseInt(strings.TrimPrefix(prefix, "bc"), 16, 32)
		if err != nil || syscall.Kill(int(pid), 0) == nil {
			continue
		}
		_ = (&network{prefix: prefix, subnet: "left behind"}).close() // as far as it goes
	}
}

// enter is the command that runs a program as node i.
func (w *network) enter(i int, program string, args ...string) *exec.Cmd {
	if w.subnet == "" {
		return exec.Command(program, args...)
	}
	return exec.Command("nsenter", append([]string{"--net=/run/netns/" + w.space(i), program}, args...)...)
}

// proxied puts a proxy into the link from an upstream to its subscriber and
// returns where the subscriber finds it.
func (w *network) proxied(from, to int, upstream string) (string, error) {
	host := "127.0.0.1"
	if w.subnet != "" {
		host = w.subnet + "254"
	}
	p, err := newProxy(host, upstream)
	if err != nil {
		return "", err
	}
	w.proxies[[2]int{from, to}] = p
	return p.listener.Addr().String(), nil
}

// delayable are the links that a delay can be put on.
func (w *network) delayable() (links [][2]int) {
	for link := range w.proxies {
		links = append(links, link)
	}
	return links
}

// cut lets nothing pass from one node to another, until heal is called as
// often.
func (w *network) cut(from, to int) error {
	return w.change(func() { w.cuts[[2]int{from, to}]++ })
}

func (w *network) heal(from, to int) error {
	return w.change(func() { w.cuts[[2]int{from, to}]-- })
}

// lose drops so many percent of the packets that a node sends to and gets from
// others.
func (w *network) lose(node, percent int) error {
	return w.change(func() { w.loss[node] = percent })
}

// silence drops what a node sends to clients.
func (w *network) silence(node int, on bool) error {
	return w.change(func() { w.mute[node] = on })
}

// change alters what is broken and makes it so.
func (w *network) change(alter func()) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	alter()
	for link, p := range w.proxies {
		p.stall(w.cuts[link] > 0)
	}
	if w.subnet == "" {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "flush chain bridge %[1]s between\nflush chain bridge %[1]s out\n", w.prefix)
	for link, n := range w.cuts {
		if n > 0 {
			fmt.Fprintf(&b, "add rule bridge %s between iifname %s oifname %s drop\n", w.prefix, w.port(link[0]), w.port(link[1]))
		}
	}
	for node, percent := range w.loss {
		if percent > 0 {
			for _, side := range []string{"iifname", "oifname"} {
				fmt.Fprintf(&b, "add rule bridge %s between %s %s numgen random mod 100 < %d drop\n", w.prefix, side, w.port(node), percent)
			}
		}
	}
	for node, on := range w.mute {
		if on {
			fmt.Fprintf(&b, "add rule bridge %s out iifname %s drop\n", w.prefix, w.port(node))
		}
	}
	return nft(b.String())
}

// command runs a line of words.
func command(line string) error { return run(strings.Fields(line)...) }

func run(argv ...string) error {
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func nft(script string) error {
	c := exec.Command("nft", "-f", "-")
	c.Stdin = strings.NewReader(script + "\n")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
