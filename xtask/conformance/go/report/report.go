// Package report tells `cargo xtask conformance` how the checks of a Go suite went.
package report

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"
)

// Bootstrap is the address of the server under test.
func Bootstrap() string { return os.Getenv("BOOTSTRAP") }

// Check runs one check; it fails when body panics, which Must and Equal do.
func Check(name string, body func()) {
	if !strings.Contains(name, os.Getenv("ONLY")) {
		return
	}
	fmt.Println("@begin " + name)
	defer func() {
		if reason := recover(); reason != nil {
			fmt.Println(string(debug.Stack()))
			fmt.Println("@fail " + strings.ReplaceAll(fmt.Sprint(reason), "\n", " "))
			return
		}
		fmt.Println("@ok")
	}()
	body()
}

// Done ends the program: every check was run.
func Done() {
	fmt.Println("@done")
	os.Exit(0)
}

// Must fails the check on an error.
func Must(what string, err error) {
	if err != nil {
		panic(fmt.Sprintf("%s: %v", what, err))
	}
}

// Equal fails the check unless both values print the same.
func Equal(what string, expected, got any) {
	if fmt.Sprint(expected) != fmt.Sprint(got) {
		panic(fmt.Sprintf("%s: expected %v, got %v", what, expected, got))
	}
}

// True fails the check unless holds is true.
func True(what string, holds bool) {
	if !holds {
		panic(what + " does not hold")
	}
}

// Eventually waits until holds returns true.
func Eventually(what string, limit time.Duration, holds func() bool) {
	for end := time.Now().Add(limit); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			panic(fmt.Sprintf("%s did not happen within %v", what, limit))
		}
	}
}
