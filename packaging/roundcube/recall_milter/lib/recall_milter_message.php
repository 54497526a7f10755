<?php

/**
 * One message as its sender sees it. It can be several holds, when a server or a rule split its recipients: they have
 * one Message-ID, one bar, and one button.
 */
class recall_milter_message
{
    /**
     * Says how a message is, from all of its holds.
     *
     * state: waiting (a part can still be taken back), leaving, left, recalled (nobody gets it), partly (recalled for
     * some, and others have it).
     *
     * @param array $holds Holds of one Message-ID, as the API lists them
     * @param int   $ahead By how many seconds the gateway's clock is ahead of ours
     */
    public static function of(array $holds, int $ahead = 0): array
    {
        $states     = array_column($holds, 'state');
        $due        = null;
        $recipients = [];
        foreach ($holds as $hold) {
            if ($hold['state'] === 'held') {
                $at  = strtotime($hold['due_at']) - $ahead;
                $due = $due === null ? $at : min($due, $at);
            }
            foreach ($hold['recipients'] as $r) {
                $recipients[$r['address']] = $r['result'];
            }
        }
        $out = [
            'id'         => $holds[0]['message_id'],
            'subject'    => $holds[0]['subject'],
            'state'      => self::state($states, $recipients),
            'due'        => $due,
            'recipients' => [],
        ];
        foreach ($recipients as $address => $result) {
            $out['recipients'][] = ['address' => (string) $address, 'result' => $result];
        }
        return $out;
    }

    /**
     * Makes messages of holds, in the order of the holds.
     */
    public static function all(array $holds, int $ahead = 0): array
    {
        $by_id = [];
        foreach ($holds as $hold) {
            // without a Message-ID, nothing tells which holds belong together
            $by_id[$hold['message_id'] ?: $hold['id']][] = $hold;
        }
        return array_map(function ($group) use ($ahead) {
            return self::of($group, $ahead);
        }, array_values($by_id));
    }

    private static function state(array $states, array $recipients): string
    {
        if (in_array('held', $states)) {
            return 'waiting';
        }
        if (in_array('releasing', $states)) {
            return 'leaving';
        }
        if (!in_array('released', $states)) {
            return 'recalled';
        }
        return in_array('recalled', $recipients) ? 'partly' : 'left';
    }
}
