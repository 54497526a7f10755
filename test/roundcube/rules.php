<?php

// Tries the plugin's rules without Roundcube and without a gateway: php rules.php FOLDER-OF-THE-PLUGIN

foreach (['api', 'message', 'sent', 'grace'] as $name) {
    require $argv[1] . '/lib/recall_milter_' . $name . '.php';
}

$failed = 0;

function is($what, $got, $want)
{
    global $failed;
    if ($got !== $want) {
        $failed = 1;
        echo $what, ': ', json_encode($got), ', want ', json_encode($want), "\n";
    }
}

/** A hold as the API lists it; to maps addresses to results. */
function hold($id, $state, $to, $due = '2026-11-28T12:00:00.25Z', $message = '<m@corp.test>', $login = 'anna')
{
    $recipients = [];
    foreach ($to as $address => $result) {
        $recipients[] = ['address' => $address, 'result' => $result, 'detail' => ''];
    }
    return ['id' => $id, 'state' => $state, 'message_id' => $message, 'subject' => 'plan', 'login' => $login,
        'due_at' => $due, 'recipients' => $recipients];
}

// How a message is, from its holds.
$b = ['b@x.test' => 'pending'];
$states = [
    ['waiting', [hold('1', 'held', $b)]],
    ['waiting', [hold('1', 'held', $b), hold('2', 'released', ['c@x.test' => 'sent'])]],
    ['waiting', [hold('1', 'recalled', ['b@x.test' => 'recalled']), hold('2', 'held', ['c@x.test' => 'pending'])]],
    ['leaving', [hold('1', 'releasing', $b), hold('2', 'released', ['c@x.test' => 'sent'])]],
    ['recalled', [hold('1', 'recalled', ['b@x.test' => 'recalled'])]],
    ['left', [hold('1', 'released', ['b@x.test' => 'sent'])]],
    ['partly', [hold('1', 'released', ['b@x.test' => 'sent', 'c@x.test' => 'recalled'])]],
    ['partly', [hold('1', 'recalled', ['b@x.test' => 'recalled']), hold('2', 'released', ['c@x.test' => 'sent'])]],
];
foreach ($states as $n => list($want, $holds)) {
    is("state $n", recall_milter_message::of($holds)['state'], $want);
}
$two = [hold('1', 'held', $b, '2026-11-28T12:05:00Z'), hold('2', 'held', ['c@x.test' => 'pending'])];
$m = recall_milter_message::of($two, 10);
is('the first part leaves', $m['due'], strtotime('2026-11-28T12:00:00Z') - 10);
$many = array_fill_keys(array_map(function ($n) { return "u$n@x.test"; }, range(1, 8)), 'sent');
$m = recall_milter_message::of([hold('1', 'released', $many)]);
is('some are named, all are counted', [count($m['recipients']), $m['more'], $m['counts']], [5, 3, ['sent' => 8]]);
is('messages of holds', array_column(recall_milter_message::all([hold('1', 'held', $b), hold('2', 'held', $b, '', ''),
    hold('3', 'held', $b)]), 'id'), ['<m@corp.test>', '2']);

/** A gateway that has some holds, or does not answer. */
class fake_api extends recall_milter_api
{
    public $holds = [];
    public $gone  = false;

    public function __construct()
    {
        parent::__construct(null, '', '', 'Anna');
    }

    public function waiting(): array
    {
        return $this->of_message('');
    }

    public function of_message(string $id): array
    {
        if ($this->gone) {
            throw new recall_milter_away('gone');
        }
        return $this->holds;
    }
}

// What a session knows.
$_SESSION = [];
$api = new fake_api();
recall_milter_sent::add('<m@corp.test>', 'Sent', 100);
is('pending', recall_milter_sent::known(100), ['messages' => [], 'pending' => true, 'away' => false, 'count' => null]);
$api->gone = true;
try {
    recall_milter_sent::look($api, 100);
} catch (recall_milter_away $e) {
    is('news', recall_milter_sent::set_away(100), true);
    is('no news', recall_milter_sent::set_away(110), false);
}
is('away', [recall_milter_sent::away(130), recall_milter_sent::away(140)], [true, false]);
is('nothing is said while away', recall_milter_sent::known(130)['messages'], []);
$api->gone = false;
$due = strtotime('2026-11-28T12:00:00Z');
$api->holds = [hold('1', 'held', $b)];
recall_milter_sent::look($api, $due - 60);
$known = recall_milter_sent::known($due - 50);
is('known', [$known['messages'][0]['left'], $known['pending'], $known['count']], [50, false, 1]);
$api->holds = [hold('1', 'recalled', ['wrong@x.test' => 'recalled'])];
recall_milter_sent::look($api, $due - 40);
is('taken back', recall_milter_sent::known($due - 40)['messages'][0]['state'], 'recalled');
recall_milter_sent::add('<m@corp.test>', 'Sent', $due - 30); // to another address, with the same Message-ID
$api->holds = [hold('2', 'held', $b), $api->holds[0]];
recall_milter_sent::look($api, $due - 30);
is('sent again', recall_milter_sent::known($due - 30)['messages'][0]['counts'], ['pending' => 1]);
$api->holds[0] = hold('2', 'released', ['b@x.test' => 'sent']);
recall_milter_sent::look($api, $due);
recall_milter_sent::look($api, $due + 20);
is('the end is told', count(recall_milter_sent::known($due + 20)['messages']), 1);
recall_milter_sent::set('<m@corp.test>', ['outcome' => 'asked']);
recall_milter_sent::look($api, $due + 3600);
is('answers are waited for', count(recall_milter_sent::known($due + 3600)['messages']), 1);
recall_milter_sent::look($api, $due + 100000);
is('and forgotten', count(recall_milter_sent::known($due + 100000)['messages']), 0);
$api->holds = [];
recall_milter_sent::add('<passed@corp.test>', 'Sent', 100);
recall_milter_sent::look($api, 160);
is('it can take its time', recall_milter_sent::known(160)['pending'], true);
recall_milter_sent::look($api, 161);
is('it was not held', recall_milter_sent::known(161)['pending'], false);
foreach (range(1, 12) as $n) {
    recall_milter_sent::add("<$n@corp.test>", 'Sent', 100);
}
is('the oldest is not followed', recall_milter_sent::get('<2@corp.test>'), null);
is('the newest is', recall_milter_sent::get('<12@corp.test>')['at'], 100);

// One's own grace.
foreach (['1h0m0s' => 3600, '1m30s' => 90, '0s' => 0, '1.5s' => 2, '250ms' => 0, '24h0m0s' => 86400] as $text => $want) {
    is($text, recall_milter_grace::seconds($text), $want);
}
is('choices', recall_milter_grace::choices(0, 300, null), [0, 10, 30, 60, 120, 300]);
is('the ends are offered', recall_milter_grace::choices(45, 90, null), [45, 60, 90]);
is('and what was chosen', recall_milter_grace::choices(60, 120, 75), [60, 75, 120]);

exit($failed);
