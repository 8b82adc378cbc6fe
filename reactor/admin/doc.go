// Package admin serves what operators ask of a running broker, over HTTP: metrics, health, clients and losses.
//
// It has goroutines of its own and learns everything through Source, so no request runs on an event loop, and
// it answers while a loop stands still. It has no login: whoever reaches its address may read all, see New.
package admin
