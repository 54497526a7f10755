<?php

/** Does what a button says to all holds of a message, and says what became of it. */
class recall_milter_acts
{
    const ACTS = ['recall', 'release', 'restore', 'ask', 'dismiss'];

    private $rcmail;
    private $api;

    public function __construct(rcmail $rcmail, recall_milter_api $api)
    {
        $this->rcmail = $rcmail;
        $this->api    = $api;
    }

    /**
     * Does an act, and returns its outcome for the bar, with the page to go to.
     *
     * outcome: recalled, no-draft (recalled, and there is nothing to edit), partly, too-late, released, restored,
     * asked, nobody (to ask), forbidden, not-found, unknown (no answer: it might have been done), dismissed, or empty
     * for no act.
     */
    public function run(string $act, string $id): array
    {
        if (!in_array($act, self::ACTS, true) || $id === '' || strlen($id) > 1000) {
            return ['id' => $id, 'outcome' => ''];
        }
        if ($act === 'dismiss') {
            recall_milter_sent::forget($id);
            return ['id' => $id, 'outcome' => 'dismissed'];
        }
        try {
            $holds = recall_milter_sent::holds($this->api, $id);
            if (!$holds) {
                return ['id' => $id, 'outcome' => 'not-found'];
            }
            if (recall_milter_sent::get($id) === null) { // from the list: it was sent elsewhere
                recall_milter_sent::add($id, (string) $this->rcmail->config->get('sent_mbox'), time());
            }
            return $this->$act($id, $holds) + ['id' => $id];
        } catch (recall_milter_away $e) {
            recall_milter_sent::set_away(time());
            rcube::raise_error(['code' => 503, 'message' => 'recall_milter: ' . $e->getMessage()], true, false);
            return ['id' => $id, 'outcome' => 'unknown'];
        }
    }

    private function recall(string $id, array $holds): array
    {
        list($message, $refused) = $this->each($id, $holds, ['held', 'recalled'], 'recall', ['reason' => 'undo']);
        if ($message['state'] === 'recalled') {
            $draft   = $this->draft($id, $holds);
            $outcome = $draft ? 'recalled' : 'no-draft';
            recall_milter_sent::set($id, ['outcome' => $draft ? '' : 'no-draft']);
            return ['outcome' => $outcome, 'url' => $draft ? $this->rcmail->url($draft) : ''];
        }
        if ($message['state'] === 'waiting') {
            return ['outcome' => $refused ?: 'unknown'];
        }
        $outcome = $message['state'] === 'partly' ? 'partly' : 'too-late';
        recall_milter_sent::set($id, ['outcome' => $outcome]);
        return ['outcome' => $outcome];
    }

    private function draft(string $id, array $holds)
    {
        $draft = new recall_milter_draft($this->rcmail, $this->api);
        return $draft->open($id, recall_milter_sent::get($id)['folder'], $holds);
    }

    private function release(string $id, array $holds): array
    {
        $refused = $this->each($id, $holds, ['held'], 'release', [])[1];
        return ['outcome' => $refused ?: 'released'];
    }

    private function restore(string $id, array $holds): array
    {
        $refused = $this->each($id, $holds, ['recalled'], 'restore', [])[1];
        if ($refused === '') {
            recall_milter_sent::set($id, ['outcome' => '']);
        }
        return ['outcome' => $refused ?: 'restored'];
    }

    private function ask(string $id, array $holds): array
    {
        $refused = $this->each($id, $holds, ['releasing', 'released'], 'recall', ['ask' => true])[1];
        $outcome = $refused === 'too-late' ? 'nobody' : ($refused ?: 'asked');
        if ($outcome === 'nobody' || $outcome === 'asked') {
            recall_milter_sent::set($id, ['outcome' => $outcome]);
        }
        return ['outcome' => $outcome];
    }

    /**
     * Does an act to each hold that is in one of these states. Returns the message as it is then, and why the last hold
     * refused; empty: none did.
     */
    private function each(string $id, array $holds, array $states, string $act, array $body): array
    {
        $kinds   = [403 => 'forbidden', 404 => 'not-found', 409 => 'too-late'];
        $refused = '';
        foreach ($holds as $n => $hold) {
            if (in_array($hold['state'], $states, true)) {
                list($status, $answer) = $this->api->act($hold['id'], $act, $body);
                if ($status !== 200) {
                    $refused = $kinds[$status] ?? 'unknown';
                    $answer  = $answer['hold'] ?? $hold;
                }
                $holds[$n] = $answer;
            }
        }
        $now = time();
        return [recall_milter_sent::learn($id, $holds, $this->api->ahead($now), $now), $refused];
    }
}
