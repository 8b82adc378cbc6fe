// Package soak holds a broker under a steady load for long and judges whether anything wears out: the
// peak is measured first, in a closed loop, then a share of it is published in an open loop, and the
// last sixth of that time is put beside the second. The first is left to the broker to settle in.
package soak
