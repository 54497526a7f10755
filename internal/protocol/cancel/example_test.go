package cancel_test

import (
	"fmt"

	"github.com/recall-milter/recall-milter/internal/protocol/cancel"
)

// A gateway puts the lock into a message that it releases. Only the key, which it can make again, opens it.
func Example() {
	secret := []byte("ExampleSecret")
	key := cancel.Key(secret, "", "<12345@mid.example>")
	lock := cancel.Lock(key)
	fmt.Println(cancel.Opens([]cancel.Element{key}, []cancel.Element{lock}))

	other := cancel.Key(secret, "", "<67890@mid.example>")
	fmt.Println(cancel.Opens([]cancel.Element{other}, []cancel.Element{lock}))
	// Output:
	// true
	// false
}
