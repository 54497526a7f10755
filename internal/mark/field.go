package mark

// Field is the header field that has the mark of a message that leaves without a Received field of ours
// (release.received = "none"). Its value is like the id clause of Received.
const Field = "X-Recall-Milter"
