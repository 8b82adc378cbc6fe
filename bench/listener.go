package bench

import (
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
)

// listeners returns the sockets that accept connections to an address, named as /proc/*/fd does.
func listeners(address *net.TCPAddr) []string {
	var sockets []string
	for _, path := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // tcp6 is absent without IPv6
		}
		for line := range strings.Lines(string(text)) {
			local, inode, ok := parseListener(line)
			if ok && local.Port == address.Port && (local.IP.IsUnspecified() || local.IP.Equal(address.IP)) {
				sockets = append(sockets, fmt.Sprintf("socket:[%s]", inode))
			}
		}
	}
	return sockets
}

// parseListener reads one line of /proc/net/tcp; ok is false unless it is a listening socket.
//
//	sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
//	0: 0100007F:4A38 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 14321 ...
func parseListener(line string) (local net.TCPAddr, inode string, ok bool) {
	const stateListen = "0A"
	fields := strings.Fields(line)
	if len(fields) < 10 || fields[3] != stateListen {
		return local, "", false
	}
	hexIP, hexPort, _ := strings.Cut(fields[1], ":")
	ip, err := hex.DecodeString(hexIP)
	if err != nil || len(ip)%4 != 0 {
		return local, "", false
	}
	for word := range slices.Chunk(ip, 4) {
		slices.Reverse(word) // the kernel prints words in the byte order of the machine: little endian
	}
	port, err := strconv.ParseUint(hexPort, 16, 16)
	return net.TCPAddr{IP: ip, Port: int(port)}, fields[9], err == nil
}
