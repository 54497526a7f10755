<?php

/** Does what a button says to all holds of a message, and says what became of it. */
class recall_milter_acts
{
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
     * outcome: recalled, partly, too-late, released, asked, nobody, forbidden, not-found, unknown (no answer: it might
     * have been done), dismissed, or empty for no act.
     */
    public function run(string $act, string $id): array
    {
        $acts = ['recall' => 'recall', 'release' => 'release', 'ask' => 'ask', 'dismiss' => 'dismiss'];
        if (!isset($acts[$act]) || $id === '' || strlen($id) > 1000) {
            return ['id' => $id, 'outcome' => ''];
        }
        if ($act === 'dismiss') {
            recall_milter_sent::forget($id);
            return ['id' => $id, 'outcome' => 'dismissed'];
        }
        try {
            $holds = recall_milter_sent::holds($this->api, $id);
            return $this->{$acts[$act]}($id, $holds) + ['id' => $id];
        } catch (recall_milter_away $e) {
            rcube::raise_error(['code' => 503, 'message' => 'recall_milter: ' . $e->getMessage()], true, false);
            return ['id' => $id, 'outcome' => 'unknown'];
        }
    }

    private function recall(string $id, array $holds): array
    {
        $states  = ['held', 'releasing', 'recalled'];
        $message = $this->each($id, $holds, $states, 'recall', ['reason' => 'undo'], $refused);
        if ($message === null) {
            return ['outcome' => $refused ?: 'not-found'];
        }
        $outcomes = ['recalled' => 'recalled', 'partly' => 'partly', 'waiting' => $refused ?: 'unknown'];
        $outcome  = $outcomes[$message['state']] ?? ($refused ?: 'too-late');
        if ($outcome === 'recalled') {
            $draft = $this->draft($id, $holds);
            recall_milter_sent::set($id, ['outcome' => '']);
            $page = ['task' => 'mail', 'action' => 'compose'];
            return ['outcome' => $outcome, 'url' => $draft ? $this->rcmail->url($page + $draft) : ''];
        }
        recall_milter_sent::set($id, ['outcome' => $outcome]);
        return ['outcome' => $outcome];
    }

    private function draft(string $id, array $holds)
    {
        $entry  = recall_milter_sent::get($id);
        $folder = $entry['folder'] ?? (string) $this->rcmail->config->get('sent_mbox');
        $draft  = new recall_milter_draft($this->rcmail);
        return $draft->open($id, $folder, function ($file) use ($holds) {
            return $this->api->message($holds[0]['id'], $file);
        });
    }

    private function release(string $id, array $holds): array
    {
        $message = $this->each($id, $holds, ['held'], 'release', [], $refused);
        if ($message === null) {
            return ['outcome' => $refused ?: ($holds ? 'too-late' : 'not-found')];
        }
        return ['outcome' => $refused ?: 'released'];
    }

    private function ask(string $id, array $holds): array
    {
        $message = $this->each($id, $holds, ['releasing', 'released'], 'recall', ['ask' => true], $refused);
        if ($message === null) {
            return ['outcome' => $refused ?: 'not-found'];
        }
        $outcome = $refused === 'too-late' ? 'nobody' : ($refused ?: 'asked');
        recall_milter_sent::set($id, ['outcome' => $outcome]);
        return ['outcome' => $outcome];
    }

    /**
     * Does an act to each hold that is in one of these states. Returns the message as it is then, and null when there
     * was nothing to do.
     *
     * @param string $refused the reason of the last hold to which it could not be done; empty: it was done to all
     */
    private function each(string $id, array $holds, array $states, string $act, array $body, &$refused)
    {
        $refused = '';
        $done    = 0;
        foreach ($holds as $n => $hold) {
            if (!in_array($hold['state'], $states)) {
                continue;
            }
            $done++;
            list($status, $answer) = $this->api->act($hold['id'], $act, $body);
            $kinds = [403 => 'forbidden', 404 => 'not-found', 409 => 'too-late'];
            if ($status !== 200) {
                $refused = $kinds[$status] ?? 'unknown';
                $answer  = $answer['hold'] ?? $hold;
            }
            $holds[$n] = $answer;
        }
        return $done ? recall_milter_sent::learn($id, $holds, $this->api->now ?? time(), time()) : null;
    }
}
